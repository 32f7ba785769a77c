// The offline bundle, `ecard-bundle/1`, opened as `ecard_verifier.bundle` opens it: `docs/formats/bundle.md`.
import { Refused } from './refused.js';
import { canonicalJson, hasMembers, isObject, isWhole, parseJson } from './json.js';
import { acceptStatusToken, entryOf } from './status_list.js';
import { Statuses } from './status_delta.js';
import { Trust, openTrustList } from './trust_list.js';
import { openRoot, readRoot } from './trust_root.js';

const MAX_BUNDLE = 64 << 20;
const [MAX_PARTS, MAX_LISTS, MAX_CHAIN, MAX_DELTAS] = [65_536, 4096, 64, 8192];
const MAX_UNPACKED = 512 << 20;
const MAX_TIME = 253402300799;
const MEMBERS = ['format', 'root', 'trust_list', 'status_lists', 'made_at', 'until'];

const refuse = () => {
  throw new Refused('bad_bundle');
};

const parsed = (data) => {
  try {
    return parseJson(data, { limit: MAX_BUNDLE, items: MAX_PARTS });
  } catch {
    return refuse();
  }
};

const require = (content) => {
  const good = hasMembers(content, MEMBERS, ['root_chain', 'status_deltas']) && content.format === 'ecard-bundle/1';
  return good && isWhole(content.made_at, 0, MAX_TIME) && isWhole(content.until, 0, MAX_TIME) ? content : refuse();
};

/** From the pinned root along the bundle's chain, as far as it leads on. */
const walked = async (subtle, pinned, last, chain) => {
  if (!Array.isArray(chain) || chain.length > MAX_CHAIN) refuse();
  const known = pinned.version - (last.version - chain.length); // how many of them the pinned root has behind it
  let root = pinned;
  if (known < 0) return root; // the chain starts too late: the trust list's refusal says that the root is outdated
  for (const document of chain.slice(known)) root = await openRoot(subtle, isObject(document) ? canonicalJson(document) : refuse(), root);
  return root;
};

/** Opens bytes as `openContent` does. */
export const openBundle = (subtle, data, now, pinned = null, denied = undefined) => openContent(subtle, parsed(data), now, pinned, null, denied);

/**
 * Opens what `parseJson` made of a bundle: `{root, list, trust, statuses, madeAt, dated}`. `now` is a NumericDate in whole
 * seconds, `pinned` the JSON of a root known before or null (then the bundle's own is taken), `known` the newest trust list
 * seen before or null, `denied` what `Trust.of` takes. `dated` is the newest date in it. An old bundle opens: its checks then say `undecided`.
 */
export const openContent = async (subtle, given, now, pinned = null, known = null, denied = undefined) => {
  const content = require(given);
  const own = await readRoot(subtle, content.root);
  const root = pinned === null ? own : await walked(subtle, await readRoot(subtle, pinned), own, content.root_chain ?? []);
  const seconds = Math.min(now, content.made_at); // whether things have expired is for the check to say, at its own time
  const document = isObject(content.trust_list) ? canonicalJson(content.trust_list) : refuse();
  const list = await openTrustList(subtle, document, root, seconds, known);
  const trust = await Trust.of(subtle, list, denied);
  const { status_lists: texts, status_deltas: deltas = [] } = content;
  if (!Array.isArray(texts) || texts.length > MAX_LISTS) refuse();
  const tokens = [];
  let unpacked = 0;
  for (const text of texts) {
    const token = await acceptStatusToken(subtle, typeof text === 'string' ? text : refuse(), trust, seconds);
    unpacked += token.packed.length;
    if (unpacked > MAX_UNPACKED) refuse();
    tokens.push(token);
  }
  const until = Math.min(content.until, list.expiresAt, ...tokens.map((token) => token.expiresAt));
  const statuses = new Statuses(subtle, tokens, trust, until, entryOf);
  if (!Array.isArray(deltas) || deltas.length > MAX_DELTAS || !deltas.every((delta) => typeof delta === 'string')) refuse();
  for (const delta of deltas) await statuses.apply(delta, now);
  const dated = Math.max(list.issuedAt, ...tokens.map((token) => token.issuedAt));
  return { root: root.json, list, trust, statuses, madeAt: content.made_at, dated };
};
