// The check: the same steps, codes and outcomes as `ecard_verifier.check`, for what verifies without a network.
//
// Equal to it by test, not by promise: `tests/verifier/offline/` has both judge the same thousands of codes.
import { Refused } from './refused.js';
import { concat } from './bytes.js';
import { readCode } from './code.js';
import { ASSURANCES, readCredential } from './credential.js';
import { SM2, loadP256, requireSm2Point, verifyP256 } from './keys.js';
import { listUri } from './status_uri.js';
import { loadedOf, refusalOf } from './trust_list.js';

/** Reasons whose outcome is not `invalid`; so is every refusal that is our own fault. */
const OUTCOMES = {
  ok: 'valid',
  status_aging: 'check',
  status_unknown: 'undecided',
  status_expired: 'undecided',
  status_stale: 'undecided',
  trust_expired: 'undecided',
  trust_missing: 'undecided',
  clock_behind: 'undecided',
  needs_online: 'undecided',
  algorithm_unavailable: 'undecided',
};

export const outcomeOf = (reason) => (Object.hasOwn(OUTCOMES, reason) ? OUTCOMES[reason] : 'invalid');

/** Times in seconds; `minimumAssurance` is the place of a name in `ASSURANCES`. */
export const POLICY = Object.freeze({
  skew: 60,
  codeLife: 60,
  statusFresh: 24 * 3600,
  statusUsable: 24 * 3600,
  minimumAssurance: 0,
  audienceRequired: false,
  acceptTest: false,
});

/** Whether who may sign for `code` may sign for `region`: a code that ends in pairs of zeros stands for all below it. */
const covers = (code, region) => {
  const whole = code.replace(/(?:00)+$/, '');
  return region.startsWith(whole.length % 2 ? code : whole);
};

const refuse = (code) => {
  throw new Refused(code);
};

/** Steps 3 to 5: the trusted key that signed the credential. */
const issuerOf = async (subtle, issued, trust, now, policy) => {
  if (trust === null) refuse('trust_missing');
  if (trust.issuedAt > now + policy.skew) refuse('clock_behind');
  if (trust.expiresAt < now - policy.skew) refuse('trust_expired');
  const candidates = trust.candidates(issued.kid, 'credential');
  if (candidates.length === 0) refuse(trust.knows(issued.kid) ? 'key_wrong_purpose' : 'unknown_key');
  const signers = [];
  for (const key of candidates) {
    if (key.algorithm !== issued.algorithm) continue; // the list says what a key signs with, the header may only agree
    if (await verifyP256(subtle, loadedOf(key), issued.signingInput, issued.signature, true)) signers.push(key);
  }
  if (signers.length !== 1) refuse('bad_signature'); // of an ECDSA signature a second key is easily computed
  const [key] = signers;
  const refusal = refusalOf(key, issued.issuedAt);
  if (refusal !== null) refuse(refusal);
  if (!key.issuer.regions.some((code) => covers(code, issued.region))) refuse('region_not_allowed');
  if (issued.testCard && !policy.acceptTest) refuse('test_card');
  return key;
};

/** Step 7: what was shown is signed by the device key in the credential. */
const holderSigned = async (subtle, issued, shown) => {
  if (issued.deviceAlgorithm === SM2) {
    requireSm2Point(issued.deviceKey);
    throw new Refused('algorithm_unavailable', { unavailable: true });
  }
  const key = await loadP256(subtle, issued.deviceKey);
  const holds = shown.algorithm === issued.deviceAlgorithm && (await verifyP256(subtle, key, shown.signingInput, shown.signature, true));
  if (!holds) refuse('bad_holder_signature');
};

/** Step 10: `ok` or `status_aging`. */
const statusReason = (reading, now, begun, policy) => {
  if (reading.value === 1) refuse('ended'); // final: true however old the list is
  const age = begun - reading.asOf;
  if (age < -policy.skew) refuse('clock_behind');
  if (reading.expiresAt < now - policy.skew) refuse('status_expired');
  if (age > policy.statusUsable) refuse('status_stale');
  if (reading.value === 2) refuse('suspended');
  if (reading.value !== 0) refuse('status_not_understood');
  return age <= policy.statusFresh ? 'ok' : 'status_aging';
};

const bigEndian8 = (number) => Uint8Array.from({ length: 8 }, (_, at) => Math.floor(number / 2 ** (8 * (7 - at))) % 256);

/**
 * Judge a text. `trust` and `statuses` are of an opened bundle, or null; `now` is in seconds, fractions and all;
 * `audience` is what this counter is called, or null. Never throws on what was shown.
 */
export const check = async (subtle, text, { trust, statuses, now: seconds, policy = POLICY, audience = null }) => {
  const now = Math.floor(seconds);
  let [shown, issued, key, reading, reason] = [null, null, null, null, null];
  try {
    shown = readCode(text); // 1
    issued = readCredential(shown.credential); // 2
    key = await issuerOf(subtle, issued, trust, now, policy); // 3, 4, 5
    if (issued.issuedAt > now + policy.skew) refuse('not_yet_valid'); // 6
    if (issued.expiresAt < now - policy.skew) refuse('expired');
    await holderSigned(subtle, issued, shown); // 7
    if (shown.issuedAt > now + policy.skew) refuse('code_from_future'); // 8
    if (shown.issuedAt < now - policy.codeLife - policy.skew) refuse('code_expired');
    if (shown.audience === null && shown.challenge === null && policy.audienceRequired) refuse('audience_missing'); // 9
    if (shown.audience !== null && shown.audience !== audience) refuse('wrong_audience');
    if (shown.challenge !== null) refuse('wrong_nonce'); // only a service asks challenges
    reading = statuses.read(listUri(key.issuer.statusUri, issued.statusList), issued.statusIndex); // 10
    reason = statusReason(reading, now, Math.ceil(seconds), policy);
    if (issued.assurance < policy.minimumAssurance) refuse('assurance_too_low'); // 11
  } catch (fault) {
    if (!(fault instanceof Refused)) throw fault;
    reason = fault.code;
  }
  return {
    outcome: outcomeOf(reason),
    reason,
    statusAsOf: reading?.asOf ?? null,
    chipAssurance: key ? ASSURANCES[issued.assurance] : null,
    holderProof: key ? issued.holderProof : null,
    testCard: Boolean(key && issued.testCard),
    issuer: key?.issuer.issuer ?? null,
    region: key ? issued.region : null,
    replayKey: key ? concat(issued.credentialId, bigEndian8(shown.issuedAt), shown.nonce) : null,
    codeExpiresAt: reading ? shown.issuedAt + policy.codeLife + policy.skew : null,
  };
};
