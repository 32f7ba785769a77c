// Signed status deltas (`ecard-status-delta+jwt`): what they say, and whether they count. `docs/formats/status-delta.md`.
import { Refused } from './refused.js';
import { equal, fromBase64Url } from './bytes.js';
import { hasMembers, isWhole, parseJson } from './json.js';
import { parseCompact } from './jws.js';
import { MAX_TIME, signerOf } from './status_list.js';
import { SKEW, refusalOf } from './trust_list.js';
import { digestOf } from './trust_root.js';

export const LIST_SIZE = 1 << 20;
const LIMIT = 1 << 18;
const MAX_CHANGES = 16_384;
const MAX_LIST = 2 ** 31 - 1;
const LONGEST = 8; // bytes of one packed change
const MEMBERS = ['iss', 'iat', 'exp', 'n', 'from', 'to', 'prev', 'as_of', 'trust_list', 'changes'];
const DIGEST = /^(?:-|[A-Za-z0-9_-]{43})$/;
const INVALID = 1;
const MAX_TWINS = 8;

/** Changes as pairs of place and value; one sequence of bytes for given changes. Refuses `bad_status_delta`. */
export const unpack = (bytes) => {
  const bad = () => {
    throw new Refused('bad_status_delta');
  };
  const changes = [];
  let [place, number, length] = [-1, 0n, 0];
  for (const byte of bytes) {
    number |= BigInt(byte & 0x7f) << BigInt(7 * length);
    length += 1;
    if (byte & 0x80) {
      if (length >= LONGEST) bad();
      continue;
    }
    const value = Number(number & 3n);
    place += 1 + Number(number >> 2n);
    if ((byte === 0 && length > 1) || value === 3 || place > MAX_LIST * LIST_SIZE + LIST_SIZE - 1) bad();
    changes.push([place, value]);
    [number, length] = [0n, 0];
  }
  return length ? bad() : changes;
};

export const deltaClaims = (payload) => {
  const bad = () => {
    throw new Refused('bad_status_delta');
  };
  try {
    const claims = parseJson(payload, { limit: LIMIT, depth: 1 });
    if (!hasMembers(claims, MEMBERS)) bad();
    const { iss, iat, exp, n, from, to, prev, as_of: asOf, trust_list: trustList, changes } = claims;
    if (typeof iss !== 'string' || iss.length < 1 || [...iss].length > 512) bad();
    if (typeof prev !== 'string' || !DIGEST.test(prev) || typeof changes !== 'string') bad();
    if (![iat, exp, n, from, to, asOf, trustList].every((value) => isWhole(value))) bad();
    const read = unpack(fromBase64Url(changes));
    if (!(asOf <= iat && asOf < exp && exp <= MAX_TIME)) bad();
    if (n < 1 || from > to || (prev === '-') !== (n === 1)) bad();
    if (read.length > Math.min(MAX_CHANGES, to - from)) bad();
    return { issuer: iss, issuedAt: iat, expiresAt: exp, number: n, after: from, upto: to, previous: prev, asOf, trustList, changes: read };
  } catch (fault) {
    if (fault instanceof Refused) bad();
    throw fault;
  }
};

/** A delta whose signature, issuer and time hold, with its digest. Refuses what `accept_status_delta` refuses. */
const acceptDelta = async (subtle, token, trust, now) => {
  const jws = parseCompact(token, { typ: 'ecard-status-delta+jwt', limit: LIMIT, bad: 'bad_status_delta', bare: true });
  const signer = await signerOf(subtle, trust, jws, 'status');
  const delta = deltaClaims(jws.payload);
  const refusal = refusalOf(signer, delta.issuedAt);
  if (refusal !== null) throw new Refused(refusal);
  if (delta.issuer !== signer.issuer.issuer) throw new Refused('issuer_mismatch');
  if (delta.issuedAt > now + SKEW) throw new Refused('delta_future');
  return { ...delta, digest: await digestOf(subtle, jws.signingInput) };
};

/** One issuer's lists and deltas: where its statuses stand. */
class Line {
  constructor(until) {
    this.until = until;
    this.place = null; // {position, asOf, number, digest}
    this._without = false;
    this._changes = new Map();
  }

  add(token) {
    if (token.position === null || this._without) {
      this._without = true;
      this.place = null;
    } else if (this.place === null) {
      this.place = { position: token.position, asOf: token.issuedAt, number: 0, digest: '' };
    } else {
      const { position, asOf } = this.place;
      this.place = { position: Math.min(position, token.position), asOf: Math.min(asOf, token.issuedAt), number: 0, digest: '' };
    }
  }

  requireNext(delta) {
    const { place } = this;
    const refuse = (code) => {
      throw new Refused(code);
    };
    if (place === null) refuse('delta_gap');
    if (place.number === 0) {
      if (delta.after > place.position) refuse('delta_gap');
      if (delta.upto < place.position) refuse('delta_old');
      return;
    }
    if (delta.digest === place.digest) refuse('delta_repeated');
    if (delta.number < place.number) refuse('delta_old');
    if (delta.number > place.number + 1) refuse('delta_gap');
    if (delta.number === place.number || delta.previous !== place.digest || delta.after !== place.position) refuse('delta_forked');
    if (delta.asOf < place.asOf) refuse('delta_forked');
  }

  take(delta, until) {
    for (const [place, value] of delta.changes) if (this._changes.get(place) !== INVALID) this._changes.set(place, value);
    this.place = { position: delta.upto, asOf: delta.asOf, number: delta.number, digest: delta.digest };
    this.until = Math.max(this.until, until);
  }

  reading(base, place) {
    const known = this.place;
    if (known === null || known.number === 0) return { ...base, expiresAt: Math.min(base.expiresAt, this.until) };
    let value = this._changes.get(place) ?? base.value;
    if (base.value === INVALID) value = base.value;
    else if (this._changes.has(place) && known.asOf < base.asOf && value !== INVALID) value = Math.max(value, base.value);
    return { value, asOf: Math.max(base.asOf, known.asOf), expiresAt: this.until };
  }
}

/** Status lists and the deltas since. `tokens` are accepted ones; nothing counts after `until` unless a delta says so. */
export class Statuses {
  constructor(subtle, tokens, trust, until, entryOf) {
    this._subtle = subtle;
    this._trust = trust;
    this._until = until;
    this._entryOf = entryOf;
    this._lines = new Map();
    this._lists = new Map();
    for (const token of tokens) {
      const name = token.issuer.issuer;
      if (!this._lines.has(name)) this._lines.set(name, new Line(until));
      this._lines.get(name).add(token);
      this._put({ ...token, expiresAt: Math.min(token.expiresAt, until) });
    }
  }

  /** An older list never displaces a newer one; of two made in one second nobody can say which came last. */
  _put(token) {
    const held = this._lists.get(token.uri);
    if (held === undefined || token.issuedAt > held[0].issuedAt) this._lists.set(token.uri, [token]);
    else if (token.issuedAt === held[0].issuedAt && !held.some(({ packed, bits }) => bits === token.bits && equal(packed, token.packed))) {
      if (held.length === MAX_TWINS) throw new Refused('status_list_foreign');
      held.push(token);
    }
  }

  get until() {
    const lines = [...this._lines.values()];
    return lines.length ? Math.min(...lines.map((line) => line.until)) : this._until;
  }

  /** As of when all lists are known, or null without any. */
  get asOf() {
    const times = [...this._lists.values()].map(([token]) => Math.max(token.issuedAt, this._lines.get(token.issuer.issuer).place?.asOf ?? 0));
    return times.length ? Math.min(...times) : null;
  }

  /** By issuer `{position, asOf, number, digest}`; an issuer whose lists do not say is left out. */
  places() {
    return new Map([...this._lines].filter(([, line]) => line.place !== null).map(([issuer, line]) => [issuer, line.place]));
  }

  /** Take the next delta of an issuer. Refuses what `OfflineStatuses.apply` refuses, and then nothing has changed. */
  async apply(token, now) {
    const delta = await acceptDelta(this._subtle, token, this._trust, now);
    const line = this._lines.get(delta.issuer);
    if (line === undefined) throw new Refused('delta_foreign');
    line.requireNext(delta);
    // A newer trust list may name a stolen key: then the one in hand is not made to last longer.
    line.take(delta, delta.trustList <= this._trust.version ? Math.min(delta.expiresAt, this._trust.expiresAt) : 0);
    return delta;
  }

  /** `{value, asOf, expiresAt}` of an entry. Refuses `status_unknown`, `status_index_out_of_range`. */
  read(uri, index) {
    const held = this._lists.get(uri);
    if (held === undefined) throw new Refused('status_unknown');
    const values = held.map((token) => this._entryOf(token, index));
    const value = values.includes(INVALID) ? INVALID : Math.max(...values);
    const base = { value, asOf: held[0].issuedAt, expiresAt: Math.min(...held.map((token) => token.expiresAt)) };
    return this._lines.get(held[0].issuer.issuer).reading(base, held[0].list * LIST_SIZE + index);
  }
}
