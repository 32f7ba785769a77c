// Bytes and the texts they travel in. No DOM, no clock, no network: the browser, Node and mini-programs share it.

/** One array of all parts; a part is an array of byte values or a Uint8Array. */
export const concat = (...parts) => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

/** The bytes of a text of ASCII characters. */
export const ascii = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** The bytes of an even number of hexadecimal digits. */
export const fromHex = (hex) => Uint8Array.from(hex.match(/../g) || [], (pair) => parseInt(pair, 16));

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Bits taken `width` at a time from the top, the last group filled with zeros: base32 (5) and base64 (6). */
const grouped = (bytes, width, alphabet) => {
  let out = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xffff;
    for (bits += 8; bits >= width; bits -= width) out += alphabet[(held >> (bits - width)) & ((1 << width) - 1)];
  }
  return bits ? out + alphabet[(held << (width - bits)) & ((1 << width) - 1)] : out;
};

/** base64url without padding (RFC 4648 §5). */
export const toBase64Url = (bytes) => grouped(bytes, 6, BASE64URL);

/** base32 without padding (RFC 4648 §6). */
export const toBase32 = (bytes) => grouped(bytes, 5, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567');

/** The bytes of a base32 text without padding; null for one that nobody writes so. Only characters of its alphabet. */
export const fromBase32 = (text) => {
  const out = [];
  let held = 0;
  let bits = 0;
  for (const character of text) {
    held = ((held << 5) | 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(character)) & 0xfff;
    bits += 5;
    if (bits >= 8) out.push((held >> (bits -= 8)) & 255);
  }
  const bytes = Uint8Array.from(out);
  return toBase32(bytes) === text ? bytes : null;
};

/** The bytes of a base64url text without padding; throws on a foreign character. */
export const fromBase64Url = (text) => {
  const out = [];
  let held = 0;
  let bits = 0;
  for (const character of text) {
    const value = BASE64URL.indexOf(character);
    if (value < 0) throw new TypeError('not base64url');
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) out.push((held >> (bits -= 8)) & 255);
  }
  return Uint8Array.from(out);
};

const BASE45 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

/** Base45 (RFC 9285): two bytes in three characters. */
export const toBase45 = (bytes) => {
  let out = '';
  for (let at = 0; at < bytes.length; at += 2) {
    const pair = at + 1 < bytes.length;
    const value = pair ? bytes[at] * 256 + bytes[at + 1] : bytes[at];
    out += BASE45[value % 45] + BASE45[Math.floor(value / 45) % 45];
    if (pair) out += BASE45[Math.floor(value / 2025)];
  }
  return out;
};

/** CRC-16/IBM-3740, two bytes, high one first; of "123456789" it is 29 B1. */
export const crc16 = (bytes) => {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return [crc >> 8, crc & 255];
};
