// The trust root and the documents its holders sign: `docs/formats/trust-list.md`. A holder counts when both keys,
// P-256 and ML-DSA-65, signed; of half a pair nobody is believed.
import { Refused } from './refused.js';
import { equal, fromBase64Url, toBase64Url, toHex, utf8 } from './bytes.js';
import { canonicalJson, hasMembers, isObject, isWhole, parseJson } from './json.js';
import { ES256, ML_DSA_65, keyId, loadP256, parseJwk, verifyP256 } from './keys.js';
import { verifyMlDsa65 } from './ml_dsa.js';

const FORMAT = 'ecard-trust-root/2';
const ODD = '\\x00-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069';
const NAME = new RegExp(`^[^\\s${ODD}](?:[^${ODD}]{0,62}[^\\s${ODD}])?$`, 'u');
const MAX_HOLDERS = 16;
export const MAX_DOCUMENT = 4 << 20;
const MAX_SIGNATURES = 64;

export const digestOf = async (subtle, bytes) => toBase64Url(new Uint8Array(await subtle.digest('SHA-256', bytes)));

const isDigest = (text) => {
  try {
    return fromBase64Url(text).length === 32;
  } catch {
    return false;
  }
};

const holderOf = async (subtle, value) => {
  const { keys, name } = hasMembers(value, ['keys'], ['name']) ? value : {};
  if (!Array.isArray(keys) || keys.length !== 2) throw new Refused('bad_trust_root');
  if (name !== undefined && (typeof name !== 'string' || !NAME.test(name))) throw new Refused('bad_trust_root');
  const [classical, quantum] = keys;
  if (!hasMembers(classical, ['kty', 'crv', 'x', 'y']) || !hasMembers(quantum, ['kty', 'alg', 'pub'])) throw new Refused('bad_trust_root');
  try {
    const [point, lattice] = [parseJwk(classical), parseJwk(quantum)];
    if (point.algorithm !== ES256 || lattice.algorithm !== ML_DSA_65) throw new Refused('bad_trust_root');
    return {
      p256: await loadP256(subtle, point.public),
      point: toHex(point.public),
      lattice: lattice.public,
      kids: { [ES256]: await keyId(subtle, classical), [ML_DSA_65]: await keyId(subtle, quantum) },
    };
  } catch (fault) {
    if (fault instanceof Refused) throw new Refused('bad_trust_root');
    throw fault;
  }
};

/** The root of its JSON, ready to judge signatures: `{version, threshold, previous, holders, json, digest}`. Refuses `bad_trust_root`. */
export const readRoot = async (subtle, value) => {
  const names = ['format', 'version', 'threshold', 'holders'];
  if (!hasMembers(value, names, ['previous']) || value.format !== FORMAT) throw new Refused('bad_trust_root');
  const { version, threshold, holders, previous } = value;
  if (!Array.isArray(holders) || holders.length > MAX_HOLDERS || !isWhole(version, 1)) throw new Refused('bad_trust_root');
  if (!isWhole(threshold, 1, holders.length)) throw new Refused('bad_trust_root');
  if ((previous === undefined) !== (version === 1)) throw new Refused('bad_trust_root');
  if (previous !== undefined && (typeof previous !== 'string' || !isDigest(previous))) throw new Refused('bad_trust_root');
  const read = await Promise.all(holders.map((holder) => holderOf(subtle, holder)));
  const distinct = (names) => new Set(names).size === names.length;
  if (!distinct(read.map((holder) => holder.point)) || !distinct(read.map((holder) => toHex(holder.lattice)))) {
    throw new Refused('bad_trust_root'); // one key with two holders would count twice
  }
  return { version, threshold, previous, holders: read, json: value, digest: await digestOf(subtle, canonicalJson(value)) };
};

/** The outer form of a signed document, nothing of it believed. Refuses `malformed`. */
export const takeApart = (document, malformed) => {
  let outer;
  try {
    outer = parseJson(document, { limit: MAX_DOCUMENT, items: 8 * MAX_SIGNATURES });
  } catch {
    throw new Refused(malformed);
  }
  if (!hasMembers(outer, ['payload', 'signatures'])) throw new Refused(malformed);
  const { payload, signatures } = outer;
  const good =
    typeof payload === 'string' &&
    Array.isArray(signatures) &&
    signatures.length <= MAX_SIGNATURES &&
    signatures.every((one) => hasMembers(one, ['protected', 'signature']) && typeof one.protected === 'string' && typeof one.signature === 'string');
  if (!good) throw new Refused(malformed);
  return outer;
};

const protectedOf = (holder, kind, algorithm) => toBase64Url(canonicalJson({ alg: algorithm, kid: holder.kids[algorithm], typ: kind }));

/** Those of `holders` who signed the document as one of `kind`, with both of their keys. */
export const signersOf = async (subtle, { payload, signatures }, kind, holders) => {
  const given = new Map();
  for (const one of signatures) {
    try {
      given.set(one.protected, [...(given.get(one.protected) ?? []), fromBase64Url(one.signature)]);
    } catch {
      continue; // counts for nothing, and spoils nothing
    }
  }
  const found = new Set();
  for (const holder of holders) {
    const [classical, quantum] = [ES256, ML_DSA_65].map((algorithm) => protectedOf(holder, kind, algorithm));
    const message = utf8(`${classical}.${payload}`);
    const held = await Promise.all((given.get(classical) ?? []).map((one) => verifyP256(subtle, holder.p256, message, one)));
    const lattice = utf8(`${quantum}.${payload}`);
    if (held.includes(true) && (given.get(quantum) ?? []).some((one) => verifyMlDsa65(holder.lattice, lattice, one))) found.add(holder);
  }
  return found;
};

/** The root that comes directly after `known`. Refuses `root_malformed`, `root_undersigned`, `root_unlinked`. */
export const openRoot = async (subtle, document, known) => {
  const taken = takeApart(document, 'root_malformed');
  if ((await signersOf(subtle, taken, 'ecard-root+jwt', known.holders)).size < known.threshold) throw new Refused('root_undersigned');
  let root;
  try {
    const payload = fromBase64Url(taken.payload);
    const content = parseJson(payload);
    if (!isObject(content) || !equal(canonicalJson(content), payload)) throw new Refused('root_malformed');
    root = await readRoot(subtle, content);
  } catch (fault) {
    if (fault instanceof Refused) throw new Refused('root_malformed');
    throw fault;
  }
  if (root.version !== known.version + 1 || root.previous !== known.digest) throw new Refused('root_unlinked');
  if ((await signersOf(subtle, taken, 'ecard-root+jwt', root.holders)).size !== root.holders.length) throw new Refused('root_undersigned');
  return root;
};
