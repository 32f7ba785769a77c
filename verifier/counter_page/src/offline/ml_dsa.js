// ML-DSA-65 (FIPS 204), verification only, which WebCrypto does not have: half of what makes a root holder's word.
//
// Everything here is public, so nothing needs constant time. Names follow the standard. Checked against OpenSSL, and
// each rule by a signature that breaks only it: `tests/verifier/offline/test_ml_dsa.py`.
import { concat, equal } from './bytes.js';
import { shake128, shake256 } from './shake.js';

const Q = 8380417;
const N = 256;
const [K, L] = [6, 5];
const TAU = 49;
const GAMMA1 = 1 << 19;
const GAMMA2 = (Q - 1) / 32;
const BETA = 196; // tau * eta
const OMEGA = 55;
const D = 13;
const C_TILDE = 48; // bytes
const Z_BYTES = 640; // of one polynomial, 20 bits a coefficient
const T1_BYTES = 320; // 10 bits
const PUBLIC = 32 + K * T1_BYTES;
const SIGNATURE = C_TILDE + L * Z_BYTES + OMEGA + K;

/** a * b modulo Q without leaving 53 bits: both are below 2^23. */
const multiply = (a, b) => (a * b) % Q;

const reversed8 = (value) => {
  let out = 0;
  for (let bit = 0; bit < 8; bit += 1) out |= ((value >> bit) & 1) << (7 - bit);
  return out;
};

const ZETAS = (() => {
  const powers = [1];
  for (let at = 1; at < N; at += 1) powers.push(multiply(powers[at - 1], 1753));
  return Int32Array.from({ length: N }, (_, at) => powers[reversed8(at)]);
})();

/** Algorithm 41, in place. */
const ntt = (w) => {
  let m = 0;
  for (let length = 128; length >= 1; length >>= 1) {
    for (let start = 0; start < N; start += 2 * length) {
      const zeta = ZETAS[(m += 1)];
      for (let j = start; j < start + length; j += 1) {
        const t = multiply(zeta, w[j + length]);
        w[j + length] = w[j] - t < 0 ? w[j] - t + Q : w[j] - t;
        w[j] = w[j] + t >= Q ? w[j] + t - Q : w[j] + t;
      }
    }
  }
  return w;
};

/** Algorithm 42, in place. */
const inverseNtt = (w) => {
  let m = N;
  for (let length = 1; length < N; length <<= 1) {
    for (let start = 0; start < N; start += 2 * length) {
      const zeta = Q - ZETAS[(m -= 1)];
      for (let j = start; j < start + length; j += 1) {
        const t = w[j];
        w[j] = (t + w[j + length]) % Q;
        w[j + length] = multiply(zeta, (t - w[j + length] + Q) % Q);
      }
    }
  }
  for (let j = 0; j < N; j += 1) w[j] = multiply(w[j], 8347681);
  return w;
};

/** Algorithm 30: one polynomial of the matrix, uniform below Q, already transformed. */
const rejNttPoly = (rho, column, row) => {
  const squeeze = shake128(concat(rho, [column, row]));
  const out = new Int32Array(N);
  for (let j = 0; j < N; ) {
    const block = squeeze(168);
    for (let at = 0; at < block.length && j < N; at += 3) {
      const value = block[at] | (block[at + 1] << 8) | ((block[at + 2] & 0x7f) << 16);
      if (value < Q) out[j++] = value;
    }
  }
  return out;
};

/** Algorithm 29: TAU coefficients of 1 or -1 by the bytes of c~. */
const sampleInBall = (seed) => {
  const squeeze = shake256(seed);
  const signs = squeeze(8);
  const c = new Int32Array(N);
  for (let i = N - TAU, sign = 0; i < N; i += 1, sign += 1) {
    let j = squeeze(1)[0];
    while (j > i) j = squeeze(1)[0];
    c[i] = c[j];
    c[j] = (signs[sign >> 3] >> (sign & 7)) & 1 ? Q - 1 : 1;
  }
  return c;
};

/** N unsigned numbers of `width` bits, the least significant bit first. */
const unpacked = (bytes, width) => {
  const out = new Int32Array(N);
  let held = 0;
  let bits = 0;
  let at = 0;
  for (let j = 0; j < N; j += 1) {
    while (bits < width) {
      held |= bytes[at++] << bits;
      bits += 8;
    }
    out[j] = held & ((1 << width) - 1);
    held >>>= width;
    bits -= width;
  }
  return out;
};

/** Algorithm 21: where each polynomial has its hints, or null for a spelling that no signer writes. */
const unpackHints = (bytes) => {
  const hints = Array.from({ length: K }, () => new Uint8Array(N));
  let index = 0;
  for (let i = 0; i < K; i += 1) {
    const end = bytes[OMEGA + i];
    if (end < index || end > OMEGA) return null;
    for (let first = index; index < end; index += 1) {
      if (index > first && bytes[index - 1] >= bytes[index]) return null;
      hints[i][bytes[index]] = 1;
    }
  }
  for (; index < OMEGA; index += 1) if (bytes[index] !== 0) return null;
  return hints;
};

/** Algorithm 40 with 36: the high part of `r` that its hint points to. */
const useHint = (hint, r) => {
  let low = r % (2 * GAMMA2);
  if (low > GAMMA2) low -= 2 * GAMMA2;
  let high = (r - low) / (2 * GAMMA2);
  if (r - low === Q - 1) {
    high = 0;
    low -= 1;
  }
  if (!hint) return high;
  return low > 0 ? (high + 1) % 16 : (high + 15) % 16;
};

/** Whether `signature` is the key's over `message`, with an empty context (algorithms 3 and 8). */
export const verifyMlDsa65 = (publicKey, message, signature) => {
  if (publicKey.length !== PUBLIC || signature.length !== SIGNATURE) return false;
  const cTilde = signature.subarray(0, C_TILDE);
  const z = [];
  for (let i = 0; i < L; i += 1) {
    const start = C_TILDE + i * Z_BYTES;
    const centred = unpacked(signature.subarray(start, start + Z_BYTES), 20).map((value) => GAMMA1 - value);
    if (centred.some((value) => Math.abs(value) >= GAMMA1 - BETA)) return false;
    z.push(ntt(centred.map((value) => (value < 0 ? value + Q : value))));
  }
  const hints = unpackHints(signature.subarray(C_TILDE + L * Z_BYTES));
  if (hints === null) return false;
  const mu = shake256(concat(shake256(publicKey)(64), [0, 0], message))(64);
  const c = ntt(sampleInBall(cTilde));
  const rho = publicKey.subarray(0, 32);
  const encoded = new Uint8Array((K * N) / 2);
  for (let i = 0; i < K; i += 1) {
    const packed = publicKey.subarray(32 + i * T1_BYTES, 32 + (i + 1) * T1_BYTES);
    const t1 = ntt(unpacked(packed, 10).map((value) => value << D));
    const w = new Int32Array(N);
    for (let j = 0; j < N; j += 1) w[j] = Q - multiply(c[j], t1[j]);
    for (let column = 0; column < L; column += 1) {
      const a = rejNttPoly(rho, column, i);
      for (let j = 0; j < N; j += 1) w[j] = (w[j] + a[j] * z[column][j]) % Q;
    }
    inverseNtt(w);
    for (let j = 0; j < N; j += 1) encoded[(i * N + j) >> 1] |= useHint(hints[i][j], w[j]) << (4 * (j & 1));
  }
  return equal(cTilde, shake256(concat(mu, encoded))(C_TILDE));
};
