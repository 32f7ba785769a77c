// The parts of deterministic CBOR (RFC 8949 §4.2.1) that a code is made of, taken one after another. Each value has one
// spelling only, so what is read here is what would be written: longer forms, other orders and rests are refused.
import { Refused } from './refused.js';
import { compare, fromUtf8 } from './bytes.js';

/** Reads `bytes` from the start; every refusal is of `code`. */
export class Taker {
  constructor(bytes, code) {
    this.bytes = bytes;
    this.code = code;
    this.at = 0;
  }

  refuse() {
    throw new Refused(this.code);
  }

  /** Exactly these bytes come next. */
  expect(...bytes) {
    for (const byte of bytes) if (this.bytes[this.at++] !== byte) this.refuse();
  }

  byte() {
    return this.at < this.bytes.length ? this.bytes[this.at++] : this.refuse();
  }

  raw(length) {
    if (this.at + length > this.bytes.length) this.refuse();
    return this.bytes.subarray(this.at, (this.at += length));
  }

  /** An argument of major type `major`, in its shortest form. Above 2^53 it is a BigInt: too large for all bounds. */
  head(major, longest = 8) {
    const first = this.byte() - (major << 5);
    if (first < 0 || first > 27) this.refuse();
    if (first < 24) return first;
    const size = 1 << (first - 24);
    if (size > longest) this.refuse();
    const value = this.raw(size).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    if (value < (size === 1 ? 24n : 1n << BigInt(4 * size))) this.refuse();
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }

  uint(longest = 8) {
    return this.head(0, longest);
  }

  byteString() {
    const length = this.head(2, 4);
    return this.raw(length);
  }

  end() {
    if (this.at !== this.bytes.length) this.refuse();
  }
}

/** A CBOR byte string with the shortest length. */
export const byteString = (bytes) => {
  const { length } = bytes;
  const head = length < 24 ? [0x40 | length] : length < 256 ? [0x58, length] : [0x59, length >> 8, length & 255];
  const out = new Uint8Array(head.length + length);
  out.set(head);
  out.set(bytes, head.length);
  return out;
};

const MAX_CONTAINERS = 256;

/** What a map with integer labels says under label 1 if that is an integer, else null: the algorithm that a header of
 * ours or of others claims. Refuses `code` unless all of it is deterministic. */
export const labelOne = (bytes, code) => {
  const taker = new Taker(bytes, code);
  const budget = { left: MAX_CONTAINERS };
  const found = { value: null };
  if (bytes[0] >> 5 !== 5) taker.refuse();
  pass(taker, 2, budget, found);
  taker.end();
  return found.value;
};

/** Passes over one value; of the outermost map it keeps what stands under label 1. */
const pass = (taker, depth, budget, found = null) => {
  const start = taker.at;
  const major = taker.bytes[start] >> 5;
  if (major === 7) {
    const simple = taker.byte();
    if (simple !== 0xf4 && simple !== 0xf5 && simple !== 0xf6) taker.refuse();
    return undefined;
  }
  if (major === 6 || major === undefined) taker.refuse();
  const head = taker.head(major);
  if (major === 0) return head;
  if (major === 1) return typeof head === 'number' ? -1 - head : undefined;
  if (major === 2 || major === 3) {
    if (typeof head !== 'number') taker.refuse();
    const content = taker.raw(head);
    if (major === 3 && !isUtf8(content)) taker.refuse();
    return undefined;
  }
  budget.left -= 1;
  if (budget.left < 0 || depth === 0 || typeof head !== 'number') taker.refuse();
  let last = null;
  for (let at = 0; at < head; at += 1) {
    if (major === 4) {
      pass(taker, depth - 1, budget);
      continue;
    }
    const from = taker.at;
    const kind = taker.bytes[from] >> 5;
    if (kind > 1 && (found !== null || kind !== 3)) taker.refuse();
    const label = pass(taker, depth - 1, budget);
    const key = taker.bytes.subarray(from, taker.at);
    if (last !== null && compare(last, key) >= 0) taker.refuse();
    last = key;
    const value = pass(taker, depth - 1, budget);
    if (found !== null && label === 1 && value !== undefined) found.value = value;
  }
  return undefined;
};

const isUtf8 = (bytes) => {
  try {
    fromUtf8(bytes);
    return true;
  } catch {
    return false;
  }
};
