// COSE_Sign1 (RFC 9052 §4.2) as strictly as `ecard_card.cose`: tag 18, everything protected, 64 bytes of signature.
import { ascii, concat } from './bytes.js';
import { Taker, byteString } from './cbor.js';

/** `{protected, payload, signature}`; refuses `code`. The content of the protected header is not looked at. */
export const splitSign1 = (bytes, limit, code) => {
  const taker = new Taker(bytes, code);
  if (bytes.length > limit) taker.refuse();
  taker.expect(0xd2, 0x84);
  const headers = taker.byteString();
  taker.expect(0xa0);
  const payload = taker.byteString();
  taker.expect(0x58, 0x40);
  const signature = taker.raw(64);
  taker.end();
  return { protected: headers, payload, signature };
};

/** Sig_structure of RFC 9052 §4.4; `context` is the external_aad that tells our kinds of message apart. */
export const signingInput = ({ protected: headers, payload }, context) =>
  concat([0x84, 0x6a], ascii('Signature1'), byteString(headers), byteString(ascii(context)), byteString(payload));
