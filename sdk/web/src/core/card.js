// One e-card on one screen: opens a session with a ticket, keeps a fresh code, hears at once when the card ends.
//
// It has no DOM and no timer. Whoever shows it calls `tick()` a few times a second and draws `view` when `onChange`
// says so. What it needs of its surroundings is `platform`:
//   request(method, path, body, token) → {status, date, body}; rejects when there is no network
//   now() → milliseconds; wait(milliseconds); random(count) → bytes
//   device(slot) → {jwk, sign}, made once per slot and kept; or null where no key can be kept
//   sha256(bytes) → bytes; missing where device is always null
import { digestOf, readChallenge } from './challenge.js';
import { LIFE, deviceCodes, seconds, serverCodes } from './codes.js';
import { deviceProof } from './proof.js';

/** What went wrong with a call: the service's own code, or `no_network`. */
export class Refused extends Error {
  constructor(code, status) {
    super(code);
    this.code = code;
    this.status = status;
  }
}

const NOTHING = Object.freeze({ phase: 'empty', reason: '', code: null, number: '', offline: false, test: false, made: '', asked: null });
const RENEW_BEFORE = 60; // seconds before a session ends in which a new ticket is asked for
const CLOCK_NOISE = 1500; // milliseconds: `Date` tells whole seconds only
const BACK_OFF = [500, 1000, 2000, 5000];

/**
 * `settings`: form (`offline`: EC1, or `online`: EC0), audience (the one counter that codes are for), deviceKey (false:
 * never make one). `view.phase` is empty, opening, live, dead (the code shown is over), ended (the card may not be shown
 * now; `reason` says why), over (a new ticket is needed) or refused (`reason` is the service's code). `view.asked` is the
 * challenge that waits for the holder's word, or that the code on show answers.
 */
export class Card {
  constructor(platform, settings = {}, onChange = () => {}, onEvent = () => {}) {
    this._platform = platform;
    this._settings = settings;
    this._onChange = onChange;
    this._onEvent = onEvent;
    this._offset = null;
    this._session = null;
    this._source = null;
    this._making = null;
    this.view = NOTHING;
  }

  /** Seconds since 1970 by the service's clock, as far as `Date` headers told it. */
  now() {
    return (this._platform.now() + (this._offset || 0)) / 1000;
  }

  /** Opens a session, or goes on with another one before the last ends. A ticket is good once, for 30 seconds. */
  async open(ticket) {
    const before = this._session;
    const mine = (this._opening = {});
    if (!before) this._show({ ...NOTHING, phase: 'opening' });
    try {
      const session = await this._ask('POST', '/v1/sessions', { ticket });
      session.ends = seconds(session.expires_at);
      session.offlineEnds = seconds(session.offline_until);
      const source = await this._sourceOf(session);
      if (this._opening !== mine) return;
      this._session = session;
      this._source = source;
      this._asked = false;
    } catch (fault) {
      if (this._opening !== mine) return;
      this._onEvent('error', { code: fault.code });
      if (!before) this._show({ ...NOTHING, phase: fault.code === 'no_network' ? 'over' : 'refused', reason: fault.code });
      return;
    }
    this._show({ test: this._session.test, made: this._source.made, offline: false });
    this._heard(this._session);
    this._watch(this._session);
    if (this.view.phase !== 'ended') await this.refresh();
  }

  /** Forgets the session; the key stays. */
  close() {
    this._opening = this._session = this._source = null;
    this._show(NOTHING);
  }

  /** What time alone changes; call it often, and whenever the page is looked at again. */
  async tick() {
    const session = this._session;
    if (!session || this.view.phase === 'ended') return;
    const now = this.now();
    const { code, asked } = this.view;
    if (asked && now >= (asked.agreed ? code.diesAt : asked.expiresAt)) this.decline('challenge_expired');
    if (now >= (this.view.offline ? session.offlineEnds : session.ends)) return this._over();
    if (!this._asked && now >= session.ends - RENEW_BEFORE) {
      this._asked = true;
      this._onEvent('ticket', {});
    }
    if (code && now >= code.diesAt && this.view.phase !== 'dead') {
      this._show({ phase: 'dead', number: '' });
      this._onEvent('dead', {});
    }
    if (!code || now >= code.nextAt || now < code.issuedAt - LIFE) await this._make();
  }

  /** Another code at once. */
  refresh() {
    return this._session && this.view.phase !== 'ended' ? this._make() : Promise.resolve();
  }

  /** A counter's challenge was scanned: it is shown to the holder, who says `agree` or `decline`. Throws what reading
   * throws, and `Refused` `device_key_needed` where codes are not made here, `challenge_expired`, `not_live`. */
  ask(text) {
    const challenge = readChallenge(text);
    if (!this._session || this.view.phase === 'ended') throw new Refused('not_live', 0);
    if (!this._source.answer) throw new Refused('device_key_needed', 0);
    if (this.now() >= challenge.expiresAt) throw new Refused('challenge_expired', 0);
    this._show({ asked: { ...challenge, agreed: false } });
    return challenge;
  }

  /** The holder agreed to what is asked: the code on show answers that, until it dies. */
  async agree() {
    const { asked } = this.view;
    const session = this._session;
    if (!session || !asked || asked.agreed) return;
    if (this.now() >= asked.expiresAt) return this.decline('challenge_expired');
    const code = await this._source.answer(this.now(), await digestOf(this._platform.sha256, asked));
    if (!code || session !== this._session || this.view.asked !== asked || this.view.phase === 'ended') return;
    this._show({ phase: 'live', code, number: '', asked: { ...asked, agreed: true } });
    this._onEvent('agreed', {});
  }

  /** Nothing is answered any more; codes go on as before. */
  decline(reason = 'declined') {
    if (!this.view.asked) return;
    this._show({ asked: null });
    this._onEvent('declined', { reason });
    return this.refresh();
  }

  /** Somebody took a picture of the screen: the code in it is not shown any longer. */
  captured() {
    if (this._source && this._source.clear) this._source.clear();
    return this.refresh();
  }

  /** The platform says that there is no network, or again one: sooner than a request would find out. What was being
   * asked is asked anew then, for its connection may be gone without a word. */
  networked(there) {
    if (!this._session || (there && !this.view.offline)) return;
    this._show({ offline: !there });
    if (there && this._goOn) this._goOn();
  }

  _make() {
    this._making ||= this._makeOne().finally(() => {
      this._making = null;
    });
    return this._making;
  }

  async _makeOne() {
    const session = this._session;
    if (this.view.asked && this.view.asked.agreed) return; // the answer stays until it dies
    let code = null;
    try {
      code = await this._source.next(this.now());
    } catch (fault) {
      this._failed(session, fault);
    }
    if (!code || this.now() >= code.diesAt || session !== this._session || this.view.phase === 'ended') return;
    if (this.view.asked && this.view.asked.agreed) return;
    if (code.fault) this._failed(session, code.fault);
    const { code: shown, phase } = this.view;
    if (shown && shown.text === code.text && phase === 'live') return void this._show({ code: { ...shown, nextAt: code.nextAt } });
    this._show({ phase: 'live', code, number: '' });
    this._onEvent('refresh', { until: code.diesAt });
    if (session.numbers && !this.view.offline) this._name(session, code).catch(() => {});
  }

  /** Digits that stand for `code` at a counter with a keyboard or a laser scanner. */
  async _name(session, code) {
    const named = await this._ask('POST', `/v1/sessions/${session.session_id}/numbers`, { code: code.typed }, session);
    if (this.view.code === code && this.view.phase === 'live') this._show({ number: named.number });
  }

  async _sourceOf(session) {
    const device = this._settings.deviceKey === false ? null : await this._platform.device(session.link_id);
    const path = `/v1/sessions/${session.session_id}`;
    if (!device) {
      return serverCodes(async () => {
        const { codes } = await this._ask('POST', path + '/codes', { count: session.prefetch }, session);
        return codes.map((one) => ({ text: one.code, from: seconds(one.good_from), until: seconds(one.good_until) }));
      });
    }
    const proof = await deviceProof(device.sign, session.issuer, session.device_challenge, Math.floor(this.now()));
    const credential = await this._ask('POST', path + '/device', { device_key: device.jwk, proof }, session);
    return deviceCodes(device, credential, this._settings, this._platform.random);
  }

  /** Asks again and again what became of the card; each answer comes when something changed, or after a while. */
  async _watch(session) {
    let { version } = session;
    for (let failures = 0; session === this._session; ) {
      const nudged = new Promise((resolve) => {
        this._goOn = resolve;
      });
      try {
        const path = `/v1/sessions/${session.session_id}/state?after=${version}`;
        const heard = await Promise.race([this._ask('GET', path, undefined, session), nudged]);
        failures = 0;
        if (session !== this._session) return;
        if (!heard) continue;
        version = heard.version;
        if (this.view.offline) this._show({ offline: false });
        this._heard(heard);
        if (this.view.phase !== 'ended') await this.tick();
      } catch (fault) {
        if (session !== this._session) return;
        this._failed(session, fault);
        await Promise.race([this._platform.wait(BACK_OFF[Math.min(failures, BACK_OFF.length - 1)]), nudged]);
        failures += 1;
      }
    }
  }

  _heard({ usable, reason }) {
    if (!usable && this.view.phase !== 'ended') {
      this._show({ phase: 'ended', reason, code: null, number: '', asked: null });
      this._onEvent('lost', { reason });
    } else if (usable && this.view.phase === 'ended') {
      this._show({ phase: 'opening', reason: '' });
    }
  }

  _failed(session, fault) {
    if (session !== this._session) return;
    if (fault.code === 'no_network') this._show({ offline: true });
    else if (fault.status === 401 || fault.status === 403) this._over(fault.code);
    else this._onEvent('error', { code: fault.code });
  }

  _over(reason = '') {
    this._opening = this._session = this._source = null;
    this._show({ phase: 'over', reason, code: null, number: '', asked: null });
    this._onEvent('ticket', {});
  }

  async _ask(method, path, body, session) {
    const sent = this._platform.now();
    let answer;
    try {
      answer = await this._platform.request(method, path, body, session && session.token);
    } catch {
      throw new Refused('no_network', 0);
    }
    this._set(answer.date, sent);
    if (answer.status >= 500 && !(answer.body && answer.body.code)) throw new Refused('no_network', answer.status);
    if (answer.status >= 400) throw new Refused((answer.body && answer.body.code) || 'refused', answer.status);
    return answer.body;
  }

  /** The clock's offset by a `Date` header, from answers that came quickly. */
  _set(date, sent) {
    const received = this._platform.now();
    if (!date || received - sent > CLOCK_NOISE) return;
    const offset = Date.parse(date) + 500 - (sent + received) / 2;
    if (this._offset === null || Math.abs(offset - this._offset) > CLOCK_NOISE) this._offset = offset;
  }

  _show(change) {
    const before = this.view;
    this.view = Object.freeze({ ...before, ...change });
    this._onChange(this.view, before);
  }
}
