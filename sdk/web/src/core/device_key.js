// The device key: made by WebCrypto, not extractable, signing every code that is shown (docs/formats/code.md).
import { concat } from './bytes.js';

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n; // of P-256
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A new pair; the private key cannot be exported, by nobody. `crypto` is a WebCrypto. */
export const generate = (crypto) => crypto.subtle.generateKey(ECDSA, false, ['sign', 'verify']);

/** raw r||s with the smaller s: of the two signatures that verify, the one that signers of codes write. */
export const lowS = (signature) => {
  const s = signature.subarray(32).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  if (s <= ORDER / 2n) return signature;
  const hex = (ORDER - s).toString(16).padStart(64, '0');
  return concat(signature.subarray(0, 32), hex.match(/../g).map((pair) => parseInt(pair, 16)));
};

/** The signer of a pair: bytes to a raw signature of 64 bytes. */
export const signer = (crypto, pair) => async (bytes) =>
  lowS(new Uint8Array(await crypto.subtle.sign(ECDSA, pair.privateKey, bytes)));

/** The public half as the authority takes it. */
export const publicJwk = async (crypto, pair) => {
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey);
  return { kty, crv, x, y };
};
