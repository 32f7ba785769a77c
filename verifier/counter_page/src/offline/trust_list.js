// The trust list, opened and judged, and the keys it names: `docs/formats/trust-list.md`, in its order.
import { Refused } from './refused.js';
import { equal, fromBase64Url, toHex } from './bytes.js';
import { canonicalJson, isObject, isWhole, parseJson } from './json.js';
import { ES256, SM2, loadP256, parseJwk, requireSm2Point, thumbprintOf } from './keys.js';
import { overlapping } from './status_uri.js';
import { MAX_DOCUMENT, digestOf, signersOf, takeApart } from './trust_root.js';

export const SKEW = 60;
const PURPOSES = ['credential', 'status', 'event', 'statement', 'code', 'access-token', 'log', 'trust', 'chip'];
const STATES = ['next', 'active', 'verify-only', 'retired', 'compromised'];
const TEXT = /^[\x21-\x7e]{1,512}$/;
const KID = /^[0-9a-f]{8}$/;
const REGION = /^[0-9]{6}$/;
const [MAX_ISSUERS, MAX_KEYS, MAX_REGIONS, MAX_USER_ID] = [1024, 64, 4096, 256];

/** A key of the list, or null for one that this reader does not understand: it hides no other. */
const readKey = async (subtle, value) => {
  try {
    if (!isObject(value)) return null;
    const { algorithm, public: point } = parseJwk(value);
    if ((algorithm !== ES256 && algorithm !== SM2) || value.alg !== algorithm) return null;
    if (!STATES.includes(value.state) || !PURPOSES.includes(value.purpose) || !KID.test(value.kid ?? '')) return null;
    const thumbprint = await thumbprintOf(subtle, value);
    if (value.kid !== thumbprint.slice(0, 8)) return null;
    if (algorithm === SM2 && fromBase64Url(value.user_id).length > MAX_USER_ID) return null;
    const [retiredFrom, compromisedFrom] = [value.retired_from ?? null, value.compromised_from ?? null];
    if (!isWhole(value.nbf) || ![retiredFrom, compromisedFrom].every((time) => time === null || isWhole(time))) return null;
    if (value.state === 'verify-only' && retiredFrom === null) return null;
    const { kid, purpose, state, nbf } = value;
    return { kid, thumbprint, purpose, state, algorithm, point, notBefore: nbf, retiredFrom, compromisedFrom };
  } catch (fault) {
    if (fault instanceof Refused || fault instanceof TypeError) return null;
    throw fault;
  }
};

const readIssuer = async (subtle, value) => {
  if (!isObject(value)) return null;
  const { iss, status_uri: statusUri, regions, keys } = value;
  const texts = typeof iss === 'string' && TEXT.test(iss) && typeof statusUri === 'string' && TEXT.test(statusUri);
  if (!texts || statusUri.split('{list}').length !== 2 || !/^https?:\/\//.test(statusUri)) return null;
  if (!Array.isArray(regions) || regions.length > MAX_REGIONS) return null;
  if (!regions.every((region) => typeof region === 'string' && REGION.test(region))) return null;
  if (!Array.isArray(keys) || keys.length > MAX_KEYS) return null;
  const read = await Promise.all(keys.map((key) => readKey(subtle, key)));
  return { issuer: iss, statusUri, regions, keys: read.filter((key) => key !== null) };
};

export const readList = async (subtle, payload) => {
  const content = parseJson(payload, { limit: MAX_DOCUMENT });
  if (!isObject(content) || !equal(canonicalJson(content), payload)) throw new Refused('trust_malformed');
  const { version, iat, exp, root, previous = null, issuers } = content;
  if (!isWhole(version, 1) || !isWhole(root, 1) || !isWhole(iat) || !isWhole(exp) || exp <= iat) throw new Refused('trust_malformed');
  if ((previous === null) !== (version === 1)) throw new Refused('trust_malformed');
  if (previous !== null && (typeof previous !== 'string' || fromBase64Url(previous).length !== 32)) throw new Refused('trust_malformed');
  if (!Array.isArray(issuers) || issuers.length > MAX_ISSUERS) throw new Refused('trust_malformed');
  const read = (await Promise.all(issuers.map((issuer) => readIssuer(subtle, issuer)))).filter((issuer) => issuer !== null);
  if (new Set(read.map((issuer) => issuer.issuer)).size !== read.length) throw new Refused('trust_malformed');
  return { version, issuedAt: iat, expiresAt: exp, rootVersion: root, previous, issuers: read, digest: await digestOf(subtle, payload) };
};

/** What an unproven payload says of its root, as a hint that there may be a newer one. */
const claimedRoot = (taken) => {
  try {
    const end = String.fromCharCode(...fromBase64Url(taken.payload).subarray(-64));
    return Number(/"root":([0-9]{1,16}),"version":[0-9]{1,16}}$/.exec(end)?.[1] ?? 0);
  } catch {
    return 0;
  }
};

/** Whether `opened` may come after, or is, the list `known`: `{version, issuedAt, rootVersion, digest}`. */
export const follows = (opened, known) => {
  if (opened.version < known.version || opened.issuedAt < known.issuedAt || opened.rootVersion < known.rootVersion) throw new Refused('trust_rolled_back');
  if (opened.version === known.version && opened.digest !== known.digest) throw new Refused('trust_unlinked');
  if (opened.version === known.version + 1 && opened.previous !== known.digest) throw new Refused('trust_unlinked');
};

/**
 * The list that a document says, under `root`; `now` is a NumericDate, `known` the newest list seen before or null.
 * Refuses `trust_malformed`, `trust_undersigned`, `trust_root_outdated`, `trust_rolled_back`, `trust_not_yet_valid`,
 * `trust_expired`, `trust_unlinked`.
 */
export const openTrustList = async (subtle, document, root, now, known = null) => {
  const taken = takeApart(document, 'trust_malformed');
  if ((await signersOf(subtle, taken, 'ecard-trust+jwt', root.holders)).size < root.threshold) {
    throw new Refused(claimedRoot(taken) > root.version ? 'trust_root_outdated' : 'trust_undersigned');
  }
  let opened;
  try {
    opened = await readList(subtle, fromBase64Url(taken.payload));
  } catch (fault) {
    if (fault instanceof Refused) throw new Refused('trust_malformed');
    throw fault;
  }
  if (opened.rootVersion > root.version) throw new Refused('trust_root_outdated');
  if (opened.rootVersion < root.version) throw new Refused('trust_rolled_back');
  if (opened.issuedAt > now + SKEW) throw new Refused('trust_not_yet_valid');
  if (now >= opened.expiresAt + SKEW) throw new Refused('trust_expired');
  if (known !== null) follows(opened, known);
  return opened;
};

/** The keys of a list, loaded once and found by kid and purpose. */
export class Trust {
  constructor(list, keys) {
    this.version = list.version;
    this.issuedAt = list.issuedAt;
    this.expiresAt = list.expiresAt;
    this.rootVersion = list.rootVersion;
    this.digest = list.digest;
    this.issuers = list.issuers;
    this._keys = keys;
  }

  /** `denied` are the keys that their issuers denied since, each with its cut-off, by thumbprint: of list and denial the stricter word holds. */
  static async of(subtle, list, denied = new Map()) {
    const counts = new Map();
    for (const { point } of list.issuers.flatMap((issuer) => issuer.keys)) counts.set(toHex(point), (counts.get(toHex(point)) ?? 0) + 1);
    const crossed = overlapping(list.issuers.map((issuer) => issuer.statusUri));
    const keys = new Map();
    for (const [place, issuer] of list.issuers.entries()) {
      if (crossed.has(place)) continue; // nobody could say whose status list is meant
      for (const listed of issuer.keys) {
        const record = restricted(listed, denied.get(listed.thumbprint));
        if (counts.get(toHex(record.point)) > 1) continue; // a key has one owner, one purpose and one state
        const loaded = await load(subtle, record);
        if (loaded === undefined) continue;
        const name = `${record.kid} ${record.purpose}`;
        keys.set(name, [...(keys.get(name) ?? []), { ...record, issuer, loaded, listedAt: list.issuedAt }]);
      }
    }
    return new Trust(list, keys);
  }

  /** Every key of that kid and purpose, whatever its state. */
  candidates(kid, purpose) {
    return this._keys.get(`${kid} ${purpose}`) ?? [];
  }

  /** Whether a key of that kid is there for anything. */
  knows(kid) {
    return PURPOSES.some((purpose) => this.candidates(kid, purpose).length > 0);
  }
}

/** A key less what its issuer denied from `cutOff` on: null and 0 both mean all that it ever signed. */
const restricted = (record, cutOff) => {
  if (cutOff === undefined) return record;
  const known = record.state === 'compromised' || record.compromisedFrom !== null;
  return { ...record, compromisedFrom: known ? Math.min(cutOff ?? 0, record.compromisedFrom ?? 0) : (cutOff ?? 0) };
};

/** The key; null of SM2, which is not computed here; undefined for what is no point. */
const load = async (subtle, record) => {
  try {
    if (record.algorithm === SM2) {
      requireSm2Point(record.point);
      return null;
    }
    return await loadP256(subtle, record.point);
  } catch (fault) {
    if (fault instanceof Refused) return undefined;
    throw fault;
  }
};

/** The loaded key. Refuses `algorithm_unavailable`: then nobody here can say what a signature is worth. */
export const loadedOf = (key) => {
  if (key.loaded === null) throw new Refused('algorithm_unavailable', { unavailable: true });
  return key.loaded;
};

/** Null if what the key signed at `signedAt` may stand, else the code that refuses it. */
export const refusalOf = (key, signedAt) => {
  const cutOff = key.compromisedFrom;
  if ((key.state === 'compromised' || cutOff !== null) && (!cutOff || signedAt > cutOff)) return 'key_compromised';
  if (key.state === 'retired') return 'key_retired';
  const earliest = key.state === 'next' ? Math.max(key.notBefore, key.listedAt) : key.notBefore;
  if (signedAt + SKEW < earliest) return 'key_not_active';
  if (key.retiredFrom !== null && signedAt > key.retiredFrom + SKEW) return 'key_retired';
  return null;
};
