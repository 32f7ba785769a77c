// What a text read off a screen, typed by a scanner or by a person is: ours, somebody else's, or damaged on its way.
// Pure. docs/formats/code.md, "Reading a text".

export const LONGEST = 4096;
const ONLINE = /^EC0:[A-Z2-7]+$/;
const BASE45 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** `text` without white space around it and, unless it is an EC1 code, without what input methods and Caps Lock do. */
export const repair = (text) => {
  const bare = text.trim();
  if (bare.startsWith('EC1:')) return bare;
  return bare
    .replace(/[\uFF01-\uFF5E]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0))
    .replace(/[a-z]/g, (letter) => letter.toUpperCase());
};

/** The ten digits that `text` is, apart from spaces, hyphens and full-width forms; null for anything else. */
export const asNumber = (text) => {
  if (text.length > 64) return null;
  const bare = repair(text).replace(/[\s-]+/g, '');
  return /^[0-9]{10}$/.test(bare) ? bare : null;
};

/** CRC-16/IBM-3740 of bytes. */
export const crc16 = (bytes) => {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
};

const base32 = (text) => {
  const bytes = [];
  let held = 0;
  let bits = 0;
  for (const sign of text) {
    held = ((held << 5) | BASE32.indexOf(sign)) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 0xff);
    }
  }
  return bits < 5 && (held & ((1 << bits) - 1)) === 0 ? bytes : null;
};

/** Whether a repaired text with one of our prefixes is one that an encoder writes: the checksum of EC0, the digits of EC1. */
export const isWhole = (text) => {
  if (text.startsWith('EC0:')) {
    if (!ONLINE.test(text)) return false;
    const bytes = base32(text.slice(4));
    return bytes !== null && bytes.length > 2 && crc16(bytes.slice(0, -2)) === bytes.at(-2) * 256 + bytes.at(-1);
  }
  const body = text.slice(4);
  if (body.length % 3 === 1) return false;
  for (let at = 0; at < body.length; at += 3) {
    const signs = [...body.slice(at, at + 3)].map((sign) => BASE45.indexOf(sign));
    if (signs.includes(-1)) return false;
    if (signs.reduce((sum, value, place) => sum + value * 45 ** place, 0) > (signs.length === 3 ? 0xffff : 0xff)) return false;
  }
  return true;
};

const isIdNumber = (text) => {
  if (!/^[1-9][0-9]{16}[0-9X]$/.test(text)) return false;
  const [year, month, day] = [text.slice(6, 10), text.slice(10, 12), text.slice(12, 14)].map(Number);
  if (year < 1900 || year > 2100 || month < 1 || month > 12 || day < 1 || day > 31) return false;
  const sum = [...text.slice(0, 17)].reduce((all, digit, at) => all + Number(digit) * (2 ** (17 - at) % 11), 0);
  return '10X98765432'[sum % 11] === text[17];
};

// In this order: the first that fits says what it is.
const FOREIGN = [
  ['foreign_id_card', isIdNumber],
  ['foreign_payment', (text) => /^(2[5-9]|30)[0-9]{14,26}$/.test(text)], // Alipay
  ['foreign_payment', (text) => /^1[0-5][0-9]{16}$/.test(text)], // WeChat Pay
  ['foreign_payment', (text) => /^62[0-9]{17}$/.test(text)], // UnionPay
  ['foreign_payment', (text) => /^(WXP|WEIXIN|ALIPAYS?):|^HTTPS?:\/\/(QR\.ALIPAY\.COM|WX\.TENPAY\.COM|QR\.95516\.COM)\//.test(text)],
  ['foreign_insurance', (text) => /^HTTPS?:\/\/[^/]*\bNHSA\.GOV\.CN(\/|$)/.test(text)],
  ['foreign_insurance', (text) => /^[1-9][0-9]{5}(?=[0-9A-Z]*[A-Z])[0-9A-Z]{20,34}$/.test(text)], // believed: no public format
  ['foreign_ticket', (text) => /^M[1-9][A-Z/ ]{20}E?[A-Z0-9 ]{6,}/.test(text) || /^[0-9]{100,}$/.test(text)], // IATA, railway
  ['foreign_url', (text) => /^([A-Z][A-Z0-9+.-]*:\/\/|WWW\.|(MAILTO|TEL|SMS|GEO|WIFI):)/.test(text)],
];

/**
 * What `text` is: `{kind: 'code'|'number', text}` as it is to be judged, or `{kind: 'foreign', reason}`.
 * A code may still be damaged (`isWhole`).
 */
export const classify = (text) => {
  if (text.length > LONGEST) return { kind: 'foreign', reason: 'unreadable_code' };
  const number = asNumber(text);
  if (number) return { kind: 'number', text: number };
  const repaired = repair(text);
  if (/^EC[01]:/.test(repaired)) return { kind: 'code', text: repaired };
  const found = FOREIGN.find(([, fits]) => fits(repaired));
  return { kind: 'foreign', reason: found ? found[0] : 'unreadable_code' };
};

/**
 * The one thing that a picture with these texts shows: as `classify`, or `{kind: 'two'}` where it has two of our codes.
 * A number beside a code is that code's own: phones show both.
 */
export const chosen = (texts) => {
  const found = [...new Set(texts)].map(classify);
  const ours = (kind) => [...new Map(found.filter((one) => one.kind === kind).map((one) => [one.text, one])).values()];
  const list = ours('code').length ? ours('code') : ours('number');
  if (list.length > 1) return { kind: 'two' };
  return list[0] ?? found.find((one) => one.reason !== 'unreadable_code') ?? found[0] ?? null;
};
