// Bytes and the texts they travel in, read strictly: for given bytes exactly one text is accepted.
import { Refused } from './refused.js';

export const concat = (...parts) => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

export const equal = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

/** Where one array sorts against another, byte by byte; negative, zero or positive. */
export const compare = (one, other) => {
  const shorter = Math.min(one.length, other.length);
  for (let at = 0; at < shorter; at += 1) if (one[at] !== other[at]) return one[at] - other[at];
  return one.length - other.length;
};

export const ascii = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));

export const utf8 = (text) => new TextEncoder().encode(text);

/** The text of UTF-8 bytes. Throws a TypeError for anything else; a byte order mark is a character like others. */
export const fromUtf8 = (bytes) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);

export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

export const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const BASE45 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

const valuesOf = (alphabet) => {
  const values = new Uint8Array(128).fill(255);
  for (let at = 0; at < alphabet.length; at += 1) values[alphabet.charCodeAt(at)] = at;
  return values;
};
const VALUES = { 5: valuesOf(BASE32), 6: valuesOf(BASE64URL), 45: valuesOf(BASE45) };

/** The bytes of groups of `width` bits, or null: a foreign character, a length no bytes have, bits left over. */
const ungrouped = (text, width) => {
  const values = VALUES[width];
  const out = new Uint8Array(Math.floor((text.length * width) / 8));
  let held = 0;
  let bits = 0;
  let at = 0;
  for (let place = 0; place < text.length; place += 1) {
    const code = text.charCodeAt(place);
    const value = code < 128 ? values[code] : 255;
    if (value === 255) return null;
    held = ((held << width) | value) & 0xffff;
    bits += width;
    if (bits >= 8) out[at++] = (held >> (bits -= 8)) & 255;
  }
  return bits < width && (held & ((1 << bits) - 1)) === 0 ? out : null;
};

/** base64url without padding (RFC 4648 §5). */
export const toBase64Url = (bytes) => {
  let out = '';
  for (let at = 0; at < bytes.length; at += 3) {
    const left = Math.min(3, bytes.length - at);
    const group = (bytes[at] << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    for (let place = 0; place <= left; place += 1) out += BASE64URL[(group >> (18 - 6 * place)) & 63];
  }
  return out;
};

/** Inverse of `toBase64Url`; one text for given bytes. Refuses `bad_base64url`. */
export const fromBase64Url = (text) => {
  const bytes = ungrouped(text, 6);
  if (bytes === null) throw new Refused('bad_base64url');
  return bytes;
};

/** The bytes of an unpadded base32 text (RFC 4648 §6), or null. */
export const fromBase32 = (text) => ungrouped(text, 5);

/** Whether all characters of `text` are of the alphabet: what tells damage from foreign text. */
export const isBase32 = (text) => [...text].every((character) => BASE32.includes(character));
export const isBase45 = (text) => [...text].every((character) => BASE45.includes(character));

/** The bytes of a Base45 text (RFC 9285), or null: a foreign character, a length no bytes have, or an overflow. */
export const fromBase45 = (text) => {
  if (text.length % 3 === 1 || !isBase45(text)) return null;
  const values = Uint8Array.from(text, (character) => VALUES[45][character.charCodeAt(0)]);
  const out = [];
  for (let at = 0; at < values.length; at += 3) {
    const pair = values[at] + 45 * values[at + 1];
    if (at + 2 < values.length) {
      const sum = pair + 2025 * values[at + 2];
      if (sum > 0xffff) return null;
      out.push(sum >> 8, sum & 255);
    } else {
      if (pair > 0xff) return null;
      out.push(pair);
    }
  }
  return Uint8Array.from(out);
};

/** CRC-16/IBM-3740, two bytes, high one first; of "123456789" it is 29 B1. */
export const crc16 = (bytes) => {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return Uint8Array.of(crc >> 8, crc & 255);
};
