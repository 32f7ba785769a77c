// The two code frames of docs/formats/code.md, as a device lays them out and signs them.
//
// `sign` takes bytes and gives the raw r||s of 64 bytes by the device key, s the smaller one. Times are NumericDates.
import { ascii, concat, crc16, fromHex, toBase32, toBase45 } from './bytes.js';

const OFFLINE_AAD = ascii('ecard-qr-1');
const ONLINE_CONTEXT = ascii('ecard-qr-0');
const PROTECTED_START = fromHex('a201280d'); // {1: -9 (ESP256), 13: kcwt}

export const NONCE_SIZE = 8;

/** A CBOR head with the shortest length (RFC 8949 §4.2.1). */
const head = (major, value) => {
  const top = major << 5;
  if (value < 24) return [top | value];
  if (value < 0x100) return [top | 24, value];
  if (value < 0x10000) return [top | 25, value >> 8, value & 255];
  const low = value % 0x100000000;
  const four = [low / 0x1000000, low / 0x10000, low / 0x100, low].map((part) => Math.floor(part) & 255);
  if (value < 0x100000000) return [top | 26, ...four];
  const high = Math.floor(value / 0x100000000);
  return [top | 27, 0, 0, high >> 8, high & 255, ...four];
};

const byteString = (bytes) => concat(head(2, bytes.length), bytes);

/** An `EC1:` text: the issuer's CWT whole, for verifiers without a network. With `challenge`, the digest of one, it answers
 * that and has no audience. */
export const offlineCode = async (sign, credential, issuedAt, nonce, audience, challenge) => {
  const guarded = concat(PROTECTED_START, credential);
  const named = audience && !challenge ? concat([3], head(3, audience.length), ascii(audience)) : [];
  const answered = challenge ? concat([10], byteString(challenge)) : [];
  const count = named.length || answered.length ? 0xa3 : 0xa2;
  const claims = concat([count], named, [6], head(0, issuedAt), answered, [0x18, 39], byteString(nonce));
  const signature = await sign(
    concat([0x84, 0x6a], ascii('Signature1'), byteString(guarded), byteString(OFFLINE_AAD), byteString(claims)),
  );
  return 'EC1:' + toBase45(concat([0xd2, 0x84], byteString(guarded), [0xa0], byteString(claims), byteString(signature)));
};

/** An `EC0:` text: the credential's 16-byte id, for verifiers that look it up. */
export const onlineCode = async (sign, credentialId, issuedAt, nonce, challenge) => {
  const answered = challenge ? byteString(challenge) : [];
  const version = challenge ? 2 : 1;
  const members = concat([version], byteString(credentialId), head(0, issuedAt), byteString(nonce), answered);
  const signature = await sign(concat(ONLINE_CONTEXT, [0x83 + version], members));
  const frame = concat([0x84 + version], members, byteString(signature));
  return 'EC0:' + toBase32(concat(frame, crc16(frame)));
};
