// The device proof (`ecard-device-proof+jwt`): possession of the device key, towards one issuer, for one challenge.
import { ascii, toBase64Url } from './bytes.js';

const part = (value) => toBase64Url(ascii(JSON.stringify(value)));

/** A compact JWS. `issuer` is the issuer's address, `issuedAt` a NumericDate; `sign` as for codes. */
export const deviceProof = async (sign, issuer, challenge, issuedAt) => {
  const header = part({ alg: 'ES256', typ: 'ecard-device-proof+jwt' });
  const input = header + '.' + part({ aud: issuer, nonce: challenge, iat: issuedAt });
  return input + '.' + toBase64Url(await sign(ascii(input)));
};
