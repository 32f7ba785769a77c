// A text as a scanner handed it over, and the frame in it. `docs/formats/code.md` in its order; no signature is checked.
import { Refused } from './refused.js';
import { crc16, equal, fromBase32, fromBase45, isBase32, isBase45 } from './bytes.js';
import { Taker } from './cbor.js';
import { signingInput, splitSign1 } from './cose.js';
import { ES256, SM2 } from './keys.js';

const MAX_PRESENTED = 32_768;
const MAX_TEXT = 4096;
const MAX_FRAME = 2728;
const MAX_CREDENTIAL = 1024;
const MAX_TIME = 253402300799;
const MAX_AUDIENCE = 64;
const WHITE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const AROUND = new RegExp(`^[${WHITE}]+|[${WHITE}]+$`, 'g');
const WIDE = /[\uff01-\uff5e]/g; // full-width forms of ASCII

const longerThan = (text, most) => text.length > most && [...text].length > most;

const narrowed = (text) =>
  text.replace(WIDE, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0)).replace(/[a-z]/g, (small) => small.toUpperCase());

const timeOf = (taker) => {
  const time = taker.uint();
  return time <= MAX_TIME ? time : taker.refuse();
};

/** An EC1 frame: `{credential, issuedAt, nonce, audience, challenge, algorithm, signature, signingInput}`. Refuses `bad_code`. */
const readOffline = (frame) => {
  const parts = splitSign1(frame, MAX_FRAME, 'bad_code');
  const headers = new Taker(parts.protected, 'bad_code');
  headers.expect(0xa2, 0x01);
  const es256 = headers.byte() === 0x28;
  if (!es256) {
    headers.at -= 1;
    headers.expect(0x3a, 0x00, 0x01, 0x00, 0x00);
  }
  headers.expect(0x0d);
  const credential = parts.protected.subarray(headers.at);
  headers.expect(0xd2, 0x84);
  if (credential.length > MAX_CREDENTIAL) headers.refuse();
  const claims = new Taker(parts.payload, 'bad_code');
  const count = claims.byte();
  let [audience, challenge] = [null, null];
  if (count !== 0xa2 && count !== 0xa3) claims.refuse();
  const named = count === 0xa3 && claims.bytes[claims.at] === 0x03;
  if (named) {
    claims.expect(0x03);
    const length = claims.head(3, 1);
    if (length < 1 || length > MAX_AUDIENCE) claims.refuse();
    audience = String.fromCharCode(...claims.raw(length));
    if (!/^[!-~]*$/.test(audience)) claims.refuse();
  }
  claims.expect(0x06);
  const issuedAt = timeOf(claims);
  if (count === 0xa3 && !named) {
    claims.expect(0x0a, 0x50);
    challenge = claims.raw(16);
  }
  claims.expect(0x18, 0x27, 0x48);
  const nonce = claims.raw(8);
  claims.end();
  const { signature } = parts;
  const algorithm = es256 ? ES256 : SM2;
  return { credential, issuedAt, nonce, audience, challenge, algorithm, signature, signingInput: signingInput(parts, 'ecard-qr-1') };
};

/** That an EC0 frame is one. Refuses `bad_code`. */
const readOnline = (frame) => {
  const taker = new Taker(frame, 'bad_code');
  if (frame.length > MAX_FRAME) taker.refuse();
  const answers = frame[0] === 0x86; // a challenge
  taker.expect(...(answers ? [0x86, 0x02] : [0x85, 0x01]), 0x50);
  taker.raw(16);
  timeOf(taker);
  taker.expect(0x48);
  taker.raw(8);
  if (answers) {
    taker.expect(0x50);
    taker.raw(16);
  }
  taker.expect(0x58, 0x40);
  taker.raw(64);
  taker.end();
};

const foreignOr = (damaged) => {
  throw new Refused(damaged ? 'code_damaged' : 'unreadable_code');
};

const fromChecked = (body) => {
  const data = fromBase32(body);
  if (data === null || data.length < 2 || !equal(crc16(data.subarray(0, -2)), data.subarray(-2))) return null;
  return data.subarray(0, -2);
};

/**
 * The frame of an EC1 code. Refuses `unreadable_code`, `code_damaged`, `bad_code`; `needs_online` for what only a service
 * can resolve: short codes, and credentials of wallets (SD-JWT).
 */
export const readCode = (given) => {
  if (longerThan(given, MAX_PRESENTED)) throw new Refused('unreadable_code');
  if (given.includes('~')) throw new Refused('needs_online');
  if (longerThan(given, MAX_TEXT)) throw new Refused('unreadable_code');
  let text = given.replace(AROUND, '');
  if (!text.startsWith('EC1:') && !/^(?=.*[A-Z])[^a-z\u0080-\uffff]*$/s.test(text)) {
    text = narrowed(text);
    if (text.startsWith('EC1:')) throw new Refused('unreadable_code'); // its alphabet cannot tell repairs from damage
  }
  const [prefix, body] = [text.slice(0, 4), text.slice(4)];
  if (prefix === 'EC1:') return readOffline(fromBase45(body) ?? foreignOr(isBase45(body)));
  if (prefix !== 'EC0:') throw new Refused('unreadable_code');
  readOnline(fromChecked(body) ?? foreignOr(isBase32(body)));
  throw new Refused('needs_online');
};

/** Whether a text is ten digits, as typed or read out: a number that stands for a code. */
export const isNumber = (text) => /^[0-9]{10}$/.test(narrowed(text).replace(new RegExp(`[-${WHITE}]`, 'g'), ''));
