// What a counter shows first, as a phone reads it (docs/formats/code.md, "Challenges"). It is shown to the holder whole; a
// code that answers it is signed over its digest.
import { ascii, concat, crc16, fromBase32 } from './bytes.js';

const PREFIX = 'ECQ:';
const CONTEXT = ascii('ecard-challenge-1');
const LONGEST = 1024;
export const DIGEST_SIZE = 16;

/** Not a challenge of ours: a code that the page can tell its holder about. */
export class BadChallenge extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

const bad = (code = 'bad_challenge') => {
  throw new BadChallenge(code);
};

/** Reads one deterministic CBOR value (RFC 8949 §4.2.1) of those that a challenge has; `at` moves on. */
const reader = (bytes) => {
  let at = 0;
  const take = (count) => (at + count <= bytes.length ? bytes.subarray(at, (at += count)) : bad());
  const value = (depth) => {
    const [first] = take(1);
    const major = first >> 5;
    const short = first & 31;
    if (first === 0xf6) return null;
    if (short > 27) bad();
    const more = short < 24 ? 0 : 1 << (short - 24);
    const length = more ? take(more).reduce((sum, byte) => sum * 256 + byte, 0) : short;
    if (more && length < [24, 0x100, 0x10000, 0x100000000][short - 24]) bad(); // a longer form than needed
    if (!Number.isSafeInteger(length)) bad();
    if (major === 0) return length;
    if (major === 2) return take(length);
    if (major === 3) return utf8(take(length));
    if (major === 4 && depth > 0 && length <= 7) return Array.from({ length }, () => value(depth - 1));
    return bad();
  };
  const whole = value(2);
  return at === bytes.length ? whole : bad();
};

const utf8 = (bytes) => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return bad();
  }
};

const fits = (pattern, value) => typeof value === 'string' && pattern.test(value);
const between = (value, least, most) => Number.isSafeInteger(value) && value >= least && value <= most;
// Controls, marks that turn text around, half characters, and spaces other than the plain one: nothing that a holder could not see.
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]|[^\P{Zs} ]/u;

/**
 * The challenge that `text` is: {counter, name, purpose, expiresAt, nonce, payment} with `payment` null or {amount,
 * currency, payer, reference}, and its `frame`. Throws `BadChallenge` `unreadable_code`, `code_damaged`, `bad_challenge`.
 */
export const readChallenge = (text) => {
  if (typeof text !== 'string' || text.length > LONGEST || !text.startsWith(PREFIX)) bad('unreadable_code');
  const body = text.slice(PREFIX.length);
  if (/[^A-Z2-7]/.test(body)) bad('unreadable_code');
  const both = fromBase32(body);
  if (!both || both.length < 3) bad('code_damaged');
  const frame = both.subarray(0, -2);
  const [high, low] = crc16(frame);
  if (high !== both[both.length - 2] || low !== both[both.length - 1]) bad('code_damaged');
  const parts = reader(frame);
  if (!Array.isArray(parts) || parts.length !== 7 || parts[0] !== 1) bad();
  const [, counter, name, nonce, expiresAt, purpose, asked] = parts;
  const visible = typeof name === 'string' && !UNSEEN.test(name) && name === name.trim();
  if (!fits(/^[!-~]{1,64}$/, counter) || !visible || !between([...name].length, 1, 30)) bad();
  if (!(nonce instanceof Uint8Array) || nonce.length !== 16 || !between(expiresAt, 0, 253402300799)) bad();
  if (!fits(/^[a-z][a-z0-9-]{0,31}$/, purpose)) bad();
  return { counter, name, purpose, expiresAt, nonce, payment: asked === null ? null : payment(asked), frame };
};

const payment = (asked) => {
  if (!Array.isArray(asked) || asked.length !== 4) bad();
  const [amount, currency, payer, reference] = asked;
  if (!between(amount, 1, 1e12) || currency !== 'CNY') bad();
  if (!fits(/^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$/, payer) || !fits(/^[A-Za-z0-9._/-]{1,64}$/, reference)) bad();
  return { amount, currency, payer, reference };
};

/** The digest that an answer carries. `sha256` takes bytes. */
export const digestOf = async (sha256, { frame }) => (await sha256(concat(CONTEXT, frame))).slice(0, DIGEST_SIZE);
