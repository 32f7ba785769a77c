// Public keys and what they signed. P-256 by WebCrypto; SM2, which no browser computes, is known and never judged.
import { Refused } from './refused.js';
import { fromBase64Url, toHex, utf8 } from './bytes.js';
import { SM2_CURVE, isLowS, uncompressed } from './points.js';

export const ES256 = 'ES256';
export const SM2 = 'SM2';
export const ML_DSA_65 = 'ML-DSA-65';

const CURVES = { 'P-256': ES256, SM2 };
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];
const AKP_BYTES = 1952;

const jwkBytes = (text, length) => {
  if (typeof text !== 'string') throw new Refused('bad_jwk');
  let bytes;
  try {
    bytes = fromBase64Url(text);
  } catch {
    throw new Refused('bad_jwk');
  }
  if (bytes.length !== length) throw new Refused('bad_jwk');
  return bytes;
};

/** `{algorithm, public}` of a public JWK: a 65-byte point, of ML-DSA-65 its 1952 bytes. Refuses `bad_jwk`. */
export const parseJwk = (jwk) => {
  if (PRIVATE.some((name) => name in jwk)) throw new Refused('bad_jwk');
  if (jwk.kty === 'AKP') {
    if (jwk.alg !== ML_DSA_65) throw new Refused('bad_jwk');
    return { algorithm: ML_DSA_65, public: jwkBytes(jwk.pub, AKP_BYTES) };
  }
  const algorithm = typeof jwk.crv === 'string' && Object.hasOwn(CURVES, jwk.crv) ? CURVES[jwk.crv] : undefined;
  if (jwk.kty !== 'EC' || algorithm === undefined) throw new Refused('bad_jwk');
  const point = new Uint8Array(65);
  point[0] = 4;
  point.set(jwkBytes(jwk.x, 32), 1);
  point.set(jwkBytes(jwk.y, 32), 33);
  return { algorithm, public: point };
};

/** The RFC 7638 thumbprint, in hex digits, of a JWK that `parseJwk` reads. */
export const thumbprintOf = async (subtle, jwk) => {
  const members = jwk.kty === 'AKP' ? { alg: jwk.alg, kty: 'AKP', pub: jwk.pub } : { crv: jwk.crv, kty: 'EC', x: jwk.x, y: jwk.y };
  return toHex(new Uint8Array(await subtle.digest('SHA-256', utf8(JSON.stringify(members)))));
};

/** The key id: the first eight of those digits. */
export const keyId = async (subtle, jwk) => (await thumbprintOf(subtle, jwk)).slice(0, 8);

/** Refuses `bad_public_key` for what is no point of SM2's curve: more is not computed here. */
export const requireSm2Point = (point) => {
  if (uncompressed(point, SM2_CURVE) === null) throw new Refused('bad_public_key');
};

/** A loaded P-256 key of 33 or 65 bytes. Refuses `bad_public_key` for what is no point. */
export const loadP256 = async (subtle, point) => {
  const whole = uncompressed(point);
  if (whole === null) throw new Refused('bad_public_key');
  return subtle.importKey('raw', whole, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
};

/** Whether r || s is a loaded P-256 key's over `message`; `lowS` also refuses the larger of the two s. */
export const verifyP256 = async (subtle, key, message, signature, lowS = false) => {
  if (signature.length !== 64 || (lowS && !isLowS(signature))) return false;
  return subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, key, signature, message);
};
