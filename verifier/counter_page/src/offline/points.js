// Points (SEC 1 §2.3): browsers import uncompressed ones only, and a compact code carries half of one.

/** The curves y² = x³ - 3x + b over the prime field of p. With SM2 nothing is computed but whether a point is one. */
export const P256 = {
  p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
  b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
};
export const SM2_CURVE = {
  p: 0xfffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffffn,
  b: 0x28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93n,
};
/** Half of the group's order: the larger s of two signatures that both hold is refused. */
const HALF_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8n;

const toNumber = (bytes) => bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

const toBytes = (number) => Uint8Array.from({ length: 32 }, (_, at) => Number((number >> BigInt(8 * (31 - at))) & 255n));

const power = (base, exponent, p) => {
  let out = 1n;
  for (let left = exponent, square = base; left > 0n; left >>= 1n, square = (square * square) % p) {
    if (left & 1n) out = (out * square) % p;
  }
  return out;
};

/** The 65-byte form of a point of 33 or 65 bytes, or null for what is no point of the curve. */
export const uncompressed = (point, { p, b } = P256) => {
  const form = point[0];
  const whole = point.length === 65 && form === 4;
  if (!whole && !(point.length === 33 && (form === 2 || form === 3))) return null;
  const x = toNumber(point.subarray(1, 33));
  if (x >= p) return null;
  const square = (x * x * x - 3n * x + b) % p;
  const wanted = square < 0n ? square + p : square;
  if (whole) {
    const y = toNumber(point.subarray(33));
    return y < p && (y * y) % p === wanted ? point : null;
  }
  const root = power(wanted, (p + 1n) / 4n, p);
  if ((root * root) % p !== wanted) return null;
  const y = (root & 1n) === BigInt(form & 1) ? root : p - root;
  const out = new Uint8Array(65);
  out[0] = 4;
  out.set(point.subarray(1, 33), 1);
  out.set(toBytes(y), 33);
  return out;
};

/** Whether s of a signature r || s is the smaller of the two that hold. */
export const isLowS = (signature) => toNumber(signature.subarray(32)) <= HALF_ORDER;
