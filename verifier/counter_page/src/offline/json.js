// JSON that can be read in one way only. `JSON.parse` takes the last of two members of one name, and makes 1 of 1.0;
// what is signed here, and what Python reads of it, must mean the same on both sides.
import { Refused } from './refused.js';
import { fromUtf8, utf8 } from './bytes.js';

/** A number that is no whole number of up to 53 bits: nothing of ours has one, and nothing computes with it. */
export class OtherNumber {
  constructor(text) {
    this.text = text;
  }
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const SPACE = /[ \t\n\r]*/y;
const HALF = /\p{Surrogate}/u; // of a pair of surrogates
const MOST_DIGITS = 4300; // Python's own bound of whole numbers
const LITERALS = { t: ['true', true], f: ['false', false], n: ['null', null] };

/**
 * The value of UTF-8 JSON of at most `limit` bytes and `depth` containers deep; `items` bounds containers and commas.
 * Objects have no prototype. Refuses `bad_json`.
 */
export const parseJson = (bytes, { limit = 65536, depth = 16, items = Infinity } = {}) => {
  if (bytes.length > limit) throw new Refused('bad_json');
  if (items !== Infinity && countOf(bytes) > items) throw new Refused('bad_json');
  let text;
  try {
    text = fromUtf8(bytes);
  } catch {
    throw new Refused('bad_json');
  }
  return new Reader(text, depth).whole();
};

const countOf = (bytes) => {
  let count = 0;
  for (const byte of bytes) if (byte === 0x7b || byte === 0x5b || byte === 0x2c) count += 1;
  return count;
};

class Reader {
  constructor(text, depth) {
    this.text = text;
    this.at = 0;
    this.depth = depth;
  }

  whole() {
    this.space();
    const value = this.value(this.depth);
    this.space();
    return this.at === this.text.length ? value : this.fail();
  }

  fail() {
    throw new Refused('bad_json');
  }

  space() {
    SPACE.lastIndex = this.at;
    SPACE.exec(this.text);
    this.at = SPACE.lastIndex;
  }

  value(depth) {
    const first = this.text[this.at];
    if (first === '"') return this.string();
    if (first === '{' || first === '[') {
      if (depth === 0) this.fail();
      return first === '{' ? this.object(depth - 1) : this.array(depth - 1);
    }
    const [literal, value] = LITERALS[first] ?? [];
    if (literal !== undefined && this.text.startsWith(literal, this.at)) {
      this.at += literal.length;
      return value;
    }
    return this.number();
  }

  number() {
    NUMBER.lastIndex = this.at;
    const found = NUMBER.exec(this.text);
    if (found === null) this.fail();
    this.at = NUMBER.lastIndex;
    const [text, fraction, exponent] = found;
    const number = Number(text);
    if (fraction !== undefined || exponent !== undefined) return Number.isFinite(number) ? new OtherNumber(text) : this.fail();
    if (text.replace('-', '').length > MOST_DIGITS) this.fail();
    return Number.isSafeInteger(number) ? number + 0 : new OtherNumber(text);
  }

  string() {
    this.at += 1;
    let out = '';
    let escaped = false;
    for (;;) {
      PLAIN.lastIndex = this.at;
      out += PLAIN.exec(this.text)[0];
      this.at = PLAIN.lastIndex;
      const end = this.text[this.at];
      if (end === '"') {
        this.at += 1;
        return escaped && HALF.test(out) ? this.fail() : out;
      }
      if (end !== '\\') this.fail(); // a control character, or no end
      out += this.escape();
      escaped = true;
    }
  }

  escape() {
    const kind = this.text[this.at + 1];
    if (kind === 'u') {
      const digits = this.text.slice(this.at + 2, this.at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail();
      this.at += 6;
      return String.fromCharCode(parseInt(digits, 16));
    }
    const meant = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }[kind];
    if (meant === undefined) this.fail();
    this.at += 2;
    return meant;
  }

  array(depth) {
    const out = [];
    this.at += 1;
    this.space();
    if (this.text[this.at] === ']') {
      this.at += 1;
      return out;
    }
    for (;;) {
      this.space();
      out.push(this.value(depth));
      if (this.ended(']')) return out;
    }
  }

  object(depth) {
    const out = Object.create(null);
    this.at += 1;
    this.space();
    if (this.text[this.at] === '}') {
      this.at += 1;
      return out;
    }
    for (;;) {
      this.space();
      if (this.text[this.at] !== '"') this.fail();
      const name = this.string();
      if (name in out) this.fail();
      this.space();
      if (this.text[this.at] !== ':') this.fail();
      this.at += 1;
      this.space();
      out[name] = this.value(depth);
      if (this.ended('}')) return out;
    }
  }

  /** After a member: true at the end of the container, false at a comma. */
  ended(end) {
    this.space();
    const found = this.text[this.at];
    if (found !== end && found !== ',') this.fail();
    this.at += 1;
    return found === end;
  }
}

const byCodePoint = (one, other) => {
  const [first, second] = [[...one], [...other]];
  for (let at = 0; at < first.length && at < second.length; at += 1) {
    if (first[at] !== second[at]) return first[at].codePointAt(0) - second[at].codePointAt(0);
  }
  return first.length - second.length;
};

const written = (value) => {
  if (value instanceof OtherNumber) {
    if (/[.eE]/.test(value.text)) throw new Refused('bad_json');
    return value.text;
  }
  if (Array.isArray(value)) return `[${value.map(written).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.keys(value).sort(byCodePoint).map((name) => `${JSON.stringify(name)}:${written(value[name])}`).join(',')}}`;
};

/** Sorted members, no white space (RFC 8785 for texts and whole numbers). Refuses `bad_json` for fractions. */
export const canonicalJson = (value) => utf8(written(value));

/** An object as `parseJson` makes it, and nothing else. */
export const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof OtherNumber);

/** Whether an object has exactly these members, and of `optional` any. */
export const hasMembers = (value, names, optional = []) =>
  isObject(value) && names.every((name) => name in value) && Object.keys(value).every((name) => names.includes(name) || optional.includes(name));

/** Whether this is a whole number from `least` to `most`. */
export const isWhole = (value, least = 0, most = Number.MAX_SAFE_INTEGER) => Number.isInteger(value) && value >= least && value <= most;
