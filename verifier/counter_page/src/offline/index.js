// The counter page without a network: what it knows, what it says of a code, and what it has yet to hand in.
//
// Everything that is believed was signed and is verified here, each time it is read. What cannot be known is undecided;
// an outcome is never better than the purpose permits. `docs/formats/counter-bundle.md` has what the service sends.
import { toHex } from './bytes.js';
import { openContent } from './bundle.js';
import { POLICY, check } from './check.js';
import { Clock } from './clock.js';
import { isNumber, readCode } from './code.js';
import { ASSURANCES, readCredential } from './credential.js';
import { hasMembers, isObject, isWhole, parseJson } from './json.js';
import { Refused } from './refused.js';
import { Store } from './store.js';
import { Uploads } from './uploads.js';

const FORMAT = 'ecard-counter-bundle/1';
const BUNDLE = '/v1/counter/bundle';
const DELTAS = '/v1/counter/deltas';
const LIMITS = { limit: 64 << 20, depth: 20, items: 65_536 };
const PATIENCE = 60_000; // milliseconds for a bundle on a poor line
const MOST_DELTAS = 4096; // then a new bundle is smaller
const REMEMBERED = 500; // results of this page, so that one scan has one
const ACCEPTED = ['valid', 'check'];
/** Refusals that a wrong clock of ours would make of a good code. */
const BY_TIME = ['code_expired', 'code_from_future', 'expired', 'not_yet_valid'];
const REVOKED = [401];

const rfc3339 = (seconds) => (seconds === null || seconds === undefined ? null : new Date(seconds * 1000).toISOString());

class Offline {
  constructor({ fetch, indexedDB, crypto, now, monotonic, caches, serviceWorker }) {
    Object.assign(this, { _fetch: fetch, _indexedDB: indexedDB, _subtle: crypto.subtle, _caches: caches, _serviceWorker: serviceWorker });
    this._wall = now;
    this._steady = monotonic;
    this._results = new Map();
    this._store = null;
    this._opened = null; // what was verified of the bundle
    this._rules = null;
    this._gone = false;
    this._uploads = new Uploads({ send: (items) => this._ask('POST', '/v1/counter/uploads', { items }), store: () => this._store, gone: () => this.wipe() });
  }

  async begin() {
    try {
      this._store = await Store.open(this._indexedDB);
      this._clock = new Clock(this._wall, this._steady, await this._store.held('clock'));
      this._rules = (await this._store.held('rules')) ?? null;
      const kept = await this._store.held('bundle');
      if (kept) {
        const opened = await this._open(kept);
        this._opened = { ...opened, kept: { ...opened.kept, reached: kept.reached } };
      }
      await this._uploads.count();
    } catch {
      this._clock ??= new Clock(this._wall, this._steady);
      this._opened = null; // what cannot be read or does not hold counts for nothing
    }
    return this;
  }

  /** What is known, and until when it is of use. Times are RFC 3339, or null. */
  state() {
    const { trust, statuses } = this._opened ?? {};
    const until = statuses ? statuses.until : null;
    return {
      trust_as_of: rfc3339(trust?.issuedAt),
      trust_expires_at: rfc3339(trust?.expiresAt),
      status_as_of: rfc3339(statuses?.asOf),
      until: rfc3339(until),
      usable: Boolean(statuses && this._rules && until > this._clock.read().now),
    };
  }

  /** Asks the service for what is new; what it cannot have stays as it is. One at a time. */
  refresh() {
    this._refreshing ??= this._refresh()
      .catch(() => {})
      .finally(() => {
        this._refreshing = null;
      })
      .then(() => this.state());
    return this._refreshing;
  }

  async _refresh() {
    if (this._gone || !this._store) return;
    let opened = this._opened ?? (await this._whole());
    while (opened) {
      const answer = await this._ask('GET', `${DELTAS}?after=${encodeURIComponent(opened.kept.cursor)}`);
      const gone = answer.status === 404;
      const page = answer.ok ? await answer.json() : null;
      if (page && Array.isArray(page.deltas) && typeof page.cursor === 'string') {
        const left = (await this._learn(page.rules)) ? await this._reopened(opened) : opened;
        if (left && page.deltas.length === 0) return this._adopt(left);
        if (left && left.kept.deltas.length <= MOST_DELTAS && (await this._extended(left, page))) {
          opened = left;
          continue;
        }
      } else if (!gone) return; // what was fetched and not brought up to date is not taken
      if (opened.fresh) return;
      opened = await this._whole();
    }
  }

  /** A whole bundle from the service, verified; null where there is none. */
  async _whole() {
    const answer = await this._ask('GET', BUNDLE);
    if (!answer.ok) return null;
    const body = new Uint8Array(await answer.arrayBuffer());
    const { root, known } = (await this._store.held('bundle')) ?? {};
    return { ...(await this._open({ body, deltas: [], cursor: null, root, known })), fresh: true };
  }

  /** Whether the next deltas, in order, lead on. */
  async _extended(opened, { deltas, cursor }) {
    try {
      for (const delta of deltas) await opened.statuses.apply(delta, Math.floor(this._clock.read().now));
    } catch (fault) {
      if (fault instanceof Refused) return false;
      throw fault;
    }
    opened.kept = { ...opened.kept, cursor, deltas: [...opened.kept.deltas, ...deltas] };
    return true;
  }

  /** Goes on with a bundle, and keeps it. Nothing that was known is taken back: refuses `bundle_older`. */
  async _adopt(opened) {
    const places = opened.statuses.places();
    const reached = [...places].map(([issuer, place]) => [issuer, place.position, place.asOf]);
    await this._store.change('bundle', (held) => {
      for (const [issuer, position, asOf] of held?.reached ?? []) {
        const place = places.get(issuer);
        if (place && (place.position < position || place.asOf < asOf)) return undefined; // another tab, or the service, is behind
      }
      this._opened = { ...opened, fresh: false, kept: { ...opened.kept, reached } };
      return this._opened.kept;
    });
  }

  /** Verifies a bundle and the deltas since, under what is known of roots and lists. */
  async _open({ body, cursor, deltas, root = null, known = null }) {
    const content = parseJson(body, LIMITS);
    if (!hasMembers(content, ['format', 'cursor', 'bundle']) || content.format !== FORMAT || !isObject(content.bundle)) throw new Refused('bad_bundle');
    const now = Math.floor(this._clock.read().now);
    const opened = await openContent(this._subtle, content.bundle, now, root, known, deniedBy(this._rules));
    for (const delta of deltas) await opened.statuses.apply(delta, now);
    const { version, issuedAt, rootVersion, digest } = opened.list;
    return { ...opened, kept: { body, deltas, cursor: cursor ?? content.cursor, root: opened.root, known: { version, issuedAt, rootVersion, digest } } };
  }

  /** Takes over the rules of now; whether they deny keys that were not denied before. A denial is never taken back. */
  async _learn(rules) {
    if (!isObject(rules) || !Array.isArray(rules.purposes)) return false;
    const [before, denied] = [deniedBy(this._rules), deniedBy(this._rules, rules)];
    const more = [...denied].some(([thumbprint, cutOff]) => before.get(thumbprint) !== cutOff);
    this._rules = { ...rules, denied_keys: [...denied].map(([thumbprint, cut_off]) => ({ thumbprint, cut_off })) };
    await this._store.hold('rules', this._rules);
    await this._store.hold('clock', this._clock.record());
    if (more && this._opened) this._opened = await this._reopened(this._opened);
    return more;
  }

  /** What was opened, verified anew under the rules of now; null where that leaves nothing that may be believed. */
  async _reopened(opened) {
    try {
      const again = await this._open(opened.kept);
      return { ...again, fresh: opened.fresh, kept: { ...again.kept, reached: opened.kept.reached } };
    } catch (fault) {
      if (fault instanceof Refused) return null;
      throw fault;
    }
  }

  /** The last state that the service told this page, for the time that it cannot be asked; null once it is over. */
  async session() {
    const kept = await this._store?.held('session').catch(() => null);
    const over = kept && !(Date.parse(kept.session_expires_at) / 1000 >= this._clock.read().now);
    return kept && !over && !this._gone ? kept : null;
  }

  async remember(state) {
    if (!this._gone) await this._store?.hold('session', state).catch(() => {});
  }

  /** A code that the service accepted for this counter: without it, the same is not accepted again. */
  async note(text) {
    try {
      const shown = readCode(text);
      const { credentialId } = readCredential(shown.credential);
      const key = toHex(credentialId) + shown.issuedAt.toString(16).padStart(16, '0') + toHex(shown.nonce);
      const { now } = this._clock.read();
      await this._store.mark({ key, scan_id: null, at: now, until: shown.issuedAt + POLICY.codeLife + POLICY.skew }, now);
    } catch {
      // no code that could be accepted here
    }
  }

  /** What can be said of a text without a network. The same scan asked again has the same result. */
  check(text, { purpose, scan_id, way }) {
    if (!this._results.has(scan_id)) {
      if (this._results.size >= REMEMBERED) this._results.delete(this._results.keys().next().value);
      this._results.set(scan_id, this._checked(text, { purpose, scan_id, way }));
    }
    return this._results.get(scan_id);
  }

  async _checked(text, { purpose, scan_id, way }) {
    const rule = understood(this._rules) ? this._rules.purposes.find((one) => one.purpose === purpose && isRule(one)) : undefined;
    const { dated = 0 } = this._opened ?? {};
    const time = this._clock.read(dated);
    const result = await this._judged(text, rule, time);
    const said = { ...limited(result, rule, time), firstSeen: null };
    const about = { scan_id, code: text, purpose, way, scanned_at: rfc3339(time.now), status_as_of: rfc3339(said.statusAsOf) };
    await this._recorded(said, about, time.now);
    return this._shown(said, rule, about);
  }

  async _judged(text, rule, { now, behind }) {
    const undecided = (reason) => ({ outcome: 'undecided', reason, statusAsOf: null, chipAssurance: null, holderProof: null, testCard: false, region: null });
    if (!this._store) return undecided('replay_guard_unavailable');
    if (behind) return undecided('clock_behind');
    if (isNumber(text)) return undecided('needs_online');
    const { trust = null, statuses = null } = this._opened ?? {};
    const policy = { ...POLICY, ...policyOf(this._rules, rule) };
    const result = await check(this._subtle, text, { trust, statuses, now, policy, audience: this._rules?.audience ?? null });
    if (ACCEPTED.includes(result.outcome) && !rule) return { ...result, ...undecided('needs_online') };
    return result;
  }

  /** Puts the scan down, and a code that is accepted as used; what cannot be kept is not accepted. */
  async _recorded(said, about, now) {
    const upload = { ...about, outcome: said.outcome, reason: said.reason };
    try {
      if (ACCEPTED.includes(said.outcome)) {
        const mark = { key: toHex(said.replayKey), scan_id: about.scan_id, at: now, until: said.codeExpiresAt };
        const before = await this._store.claim(mark, upload, now);
        if (before === null) {
          this._uploads.added();
          return;
        }
        Object.assign(said, { outcome: 'invalid', reason: 'replayed', firstSeen: before.at });
        Object.assign(upload, { outcome: said.outcome, reason: said.reason });
      }
      if (!this._store || said.reason === 'unreadable_code') return;
      await this._store.queue(upload);
      this._uploads.added();
    } catch {
      if (ACCEPTED.includes(said.outcome)) Object.assign(said, { outcome: 'undecided', reason: 'replay_guard_unavailable' });
    }
  }

  /** What the page may show of it: the marks of the code, and of the holder what the rules of this counter let through. */
  _shown(said, rule, { scan_id, purpose, scanned_at, status_as_of }) {
    const shown = ACCEPTED.includes(said.outcome) && rule?.page?.region === 'full' ? { region: said.region } : {};
    return {
      verification_id: null,
      scan_id,
      recorded_at: scanned_at,
      outcome: said.outcome,
      reason: said.reason,
      shown,
      status_as_of,
      chip_assurance: said.chipAssurance,
      holder_proof: said.holderProof,
      test_card: said.testCard,
      first_seen: said.firstSeen === null ? null : { at: rfc3339(said.firstSeen), here: true },
      purpose,
    };
  }

  /** Hands an upload to the queue. Rejects where it cannot be kept. */
  async queue(item) {
    if (!this._store) throw new Refused('replay_guard_unavailable', { unavailable: true });
    await this._store.queue(item);
    this._uploads.added();
  }

  pending() {
    return this._uploads.waiting;
  }

  flush() {
    return this._uploads.flush();
  }

  /** Forgets everything: this counter is not admitted any more. */
  async wipe() {
    this._gone = true;
    this._opened = this._rules = null;
    this._results.clear();
    this._uploads.stop();
    this._store?.close();
    this._store = null;
    await Store.wipe(this._indexedDB);
    await Promise.all(((await this._caches?.keys()) ?? []).filter((name) => name.startsWith('ecard-counter-')).map((name) => this._caches.delete(name)));
    const registered = (await this._serviceWorker?.getRegistrations()) ?? [];
    await Promise.all(registered.filter(({ scope }) => new URL(scope).pathname === '/counter').map((one) => one.unregister()));
  }

  /** Begins anew after an admission. */
  async admitted() {
    if (!this._gone) return;
    this._gone = false;
    await this.begin();
  }

  async _ask(method, path, body) {
    const began = this._steady();
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
    const answer = await this._fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin',
      cache: method === 'GET' ? 'no-cache' : 'no-store',
      redirect: 'error',
      signal: AbortSignal.timeout(PATIENCE),
    });
    const date = Date.parse(answer.headers.get('Date'));
    if (!Number.isNaN(date)) this._clock.told(date / 1000, this._steady() - began);
    if (REVOKED.includes(answer.status)) await this.wipe();
    return answer;
  }
}

/** Whether all that is demanded is understood: a page that was kept may be older than the service. Else nothing is accepted. */
const isRule = (one) =>
  hasMembers(one, ['purpose', 'live', 'challenge', 'compare_name', 'minimum_assurance', 'page']) &&
  [one.live, one.challenge, one.compare_name].every((flag) => typeof flag === 'boolean') &&
  ASSURANCES.includes(one.minimum_assurance);

const understood = (rules) => {
  const policy = rules?.policy;
  const known = isObject(policy) && hasMembers(policy, ['status_fresh', 'status_usable', 'minimum_assurance', 'accept_test']);
  return known && isWhole(policy.status_fresh) && isWhole(policy.status_usable) && ASSURANCES.includes(policy.minimum_assurance);
};

/** The keys that rules deny, with the strictest cut-off (0: all that it ever signed) of each, by thumbprint. */
const deniedBy = (...given) => {
  const denied = new Map();
  for (const one of given.flatMap((rules) => (Array.isArray(rules?.denied_keys) ? rules.denied_keys : []))) {
    if (typeof one?.thumbprint !== 'string') continue;
    const cutOff = isWhole(one.cut_off) ? one.cut_off : 0;
    denied.set(one.thumbprint, Math.min(cutOff, denied.get(one.thumbprint) ?? cutOff));
  }
  return denied;
};

const policyOf = (rules, rule) => {
  const known = rules?.policy ?? {};
  const place = (label) => Math.max(0, ASSURANCES.indexOf(label));
  const minimumAssurance = Math.max(place(known.minimum_assurance), place(rule?.minimum_assurance));
  const { status_fresh: statusFresh = POLICY.statusFresh, status_usable: statusUsable = POLICY.statusUsable, accept_test: acceptTest = false } = known;
  return { statusFresh, statusUsable, acceptTest: acceptTest === true, minimumAssurance };
};

/** The result as far as the purpose and the clock let it go. */
const limited = (result, rule, { sure }) => {
  const { outcome, reason } = result;
  if (BY_TIME.includes(reason) && !sure) return { ...result, outcome: 'undecided', reason: 'clock_unsure' };
  if (!ACCEPTED.includes(outcome)) return result;
  if (rule.challenge) return { ...result, outcome: 'undecided', reason: 'needs_online' };
  if (outcome === 'valid' && rule.live) return { ...result, outcome: 'check', reason: 'offline_status' };
  if (outcome === 'valid' && rule.compare_name) return { ...result, outcome: 'check', reason: 'name_unavailable' };
  return result;
};

/**
 * What the page can do by itself. `fetch`, `indexedDB`, `crypto` and `now` (milliseconds) are the browser's own; so are
 * `monotonic`, `caches` and `serviceWorker` unless given. Always gives something: what cannot be kept makes it useless, and
 * every result undecided.
 */
export const openOffline = ({
  fetch = (...all) => globalThis.fetch(...all),
  indexedDB = globalThis.indexedDB,
  crypto = globalThis.crypto,
  now = () => Date.now(),
  monotonic = () => performance.now(),
  caches = globalThis.caches,
  serviceWorker = globalThis.navigator?.serviceWorker,
} = {}) => new Offline({ fetch, indexedDB, crypto, now, monotonic, caches, serviceWorker }).begin();
