// Status list tokens (`statuslist+jwt`): what they say, and whether they count. `docs/formats/status-list.md`.
import { Refused } from './refused.js';
import { fromBase64Url } from './bytes.js';
import { inflate } from './inflate.js';
import { isObject, isWhole, parseJson } from './json.js';
import { parseCompact } from './jws.js';
import { verifyP256 } from './keys.js';
import { numberIn } from './status_uri.js';
import { SKEW, loadedOf, refusalOf } from './trust_list.js';

export const MAX_TIME = 100_000_000_000;
const LIMIT = 1 << 19;
const MAX_PACKED = 1 << 23;
const BITS = [1, 2, 4, 8];

/** The key of `purpose` that signed `jws`. Refuses `unknown_key`, `bad_signature`, `algorithm_unavailable`. */
export const signerOf = async (subtle, trust, jws, purpose) => {
  const candidates = trust.candidates(jws.kid, purpose);
  if (candidates.length === 0) throw new Refused('unknown_key');
  for (const key of candidates) {
    if (key.algorithm !== jws.algorithm) continue;
    if (await verifyP256(subtle, loadedOf(key), jws.signingInput, jws.signature)) return key;
  }
  throw new Refused('bad_signature');
};

/** The claims of a signed payload. Refuses `bad_status_token`, `bad_status_list`. */
export const statusClaims = async (payload) => {
  let claims;
  try {
    claims = parseJson(payload, { limit: LIMIT, depth: 8, items: 256 });
  } catch {
    throw new Refused('bad_status_token');
  }
  const bad = () => {
    throw new Refused('bad_status_token');
  };
  if (!isObject(claims)) bad();
  const { sub, iat, exp, ttl = null, status_list: list } = claims;
  if (typeof sub !== 'string' || sub.length < 1 || sub.length > 2048) bad();
  if (!isWhole(iat) || !isWhole(exp, iat + 1, MAX_TIME) || !(ttl === null || isWhole(ttl, 1))) bad();
  if (!isObject(list)) bad();
  if (typeof list.lst !== 'string') bad();
  let compressed;
  try {
    compressed = fromBase64Url(list.lst);
  } catch {
    bad();
  }
  if (!isWhole(list.bits)) throw new Refused('bad_status_list');
  const packed = await inflate(compressed, MAX_PACKED);
  if (!BITS.includes(list.bits) || packed.length === 0) throw new Refused('bad_status_list');
  if ('feed_seq' in claims && !isWhole(claims.feed_seq)) bad();
  return { uri: sub, issuedAt: iat, expiresAt: exp, packed, bits: list.bits, position: claims.feed_seq ?? null };
};

/**
 * A token whose signature, issuer, uri and time hold, and the key's owner: `{uri, issuedAt, expiresAt, packed, bits,
 * position, issuer}`. Refuses what `accept_status_token` refuses.
 */
export const acceptStatusToken = async (subtle, token, trust, now) => {
  const jws = parseCompact(token, { typ: 'statuslist+jwt', limit: LIMIT, bad: 'bad_status_token' });
  const signer = await signerOf(subtle, trust, jws, 'status');
  const claims = await statusClaims(jws.payload);
  const refusal = refusalOf(signer, claims.issuedAt);
  if (refusal !== null) throw new Refused(refusal);
  const number = numberIn(claims.uri, signer.issuer.statusUri);
  if (number === null) throw new Refused('status_list_foreign');
  if (claims.issuedAt > now + SKEW) throw new Refused('status_list_future');
  if (claims.expiresAt < now - SKEW) throw new Refused('status_expired');
  return { ...claims, issuer: signer.issuer, list: Number(number) };
};

/** The value of entry `index`. Refuses `status_index_out_of_range`. */
export const entryOf = ({ packed, bits }, index) => {
  const place = index * bits;
  if (place >= packed.length * 8) throw new Refused('status_index_out_of_range');
  return (packed[Math.floor(place / 8)] >> (place % 8)) & ((1 << bits) - 1);
};
