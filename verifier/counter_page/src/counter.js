// A counter from its admission to its log-off: which screen is shown, what the strip says, what becomes of a scan.
import { keepAwake } from './awake.js';
import { Failed } from './api.js';
import { find, make } from './dom.js';
import { local } from './judge.js';
import { spoken, words } from './words.js';

const BEAT = 15_000; // milliseconds between two looks at the session
const RETRY = 3000;
const REST = 120_000; // milliseconds without a scan after which the page may load itself anew
const ACCEPTED = ['valid', 'check'];
const USUAL = 15; // seconds a result stays

export class Counter {
  constructor(parts) {
    // api, judge, challenge, settings, signals, strip, log, integration, scanning, admission, outcome, offline
    Object.assign(this, parts);
    this.state = null;
    this._serial = 0;
    this._last = -Infinity;
  }

  seconds() {
    const said = Number(this.state?.show_seconds);
    return this.settings.get('seconds') ?? (said >= 3 && said <= 120 ? said : USUAL);
  }

  usual() {
    return Number(this.state?.show_seconds) || USUAL;
  }

  purpose() {
    const chosen = this.settings.get('purpose');
    return this.state?.purposes?.some((one) => one.purpose === chosen) ? chosen : null;
  }

  /** Whether a scan is taken now. */
  ready() {
    return document.body.dataset.screen === 'work' && !document.querySelector('dialog[open]:not(#digits):not(#shift)');
  }

  // The session

  async begin(code) {
    this._beat();
    if (code) {
      this._screen('admit');
      return this.admission.useCode(code);
    }
    return this.refresh();
  }

  /** Asks who we are; whatever comes of it, some screen is shown. */
  async refresh() {
    try {
      this.enter(await this.api.session());
      this.offline?.flush().catch(() => {});
      this.offline?.refresh();
    } catch (error) {
      if (error instanceof Failed && error.status === 401) return;
      if (this.state) return;
      const kept = await this.offline?.session();
      if (kept) return this.enter(kept, true);
      find('opening').textContent = words(error instanceof Failed && error.status >= 500 ? 'service_fault' : 'unreachable');
      this._screen('opening');
      setTimeout(() => this.state ?? this.refresh(), RETRY);
    }
  }

  /** At work, by what the service says of us now or, `alone`, said last. */
  enter(state, alone = false) {
    this.state = state;
    if (!alone) this.offline?.remember(state);
    this.strip.told(state, this.strip.timing ?? {});
    this.integration.allow(state.return_origins);
    this._purposes();
    keepAwake(true);
    if (state.staff_needed && !state.staff) {
      if (document.body.dataset.screen !== 'staff') {
        this._screen('staff');
        this.admission.askStaff();
      }
      return;
    }
    find('staff-out').hidden = !state.staff;
    if (document.body.dataset.screen !== 'work') {
      this._screen('work');
      this.scanning.begin();
    }
  }

  /** The service does not know us (any more): everything that was kept is wiped. */
  gone(code) {
    const was = this.state;
    this._wipe();
    const known = { counter_revoked: 'revoked', counter_not_admitted: was ? 'not_admitted' : null };
    const why = code in known ? known[code] : was && 'not_admitted';
    this.admission.askCode(why ? words(why) : '');
  }

  async admit(code) {
    const state = await this.api.admit(code);
    await this.offline?.admitted();
    this.enter(state);
    this.offline?.refresh();
  }

  async logOff() {
    await this.offline?.flush().catch(() => {});
    await this.api.leave().catch(() => {});
    this._wipe();
    this.admission.askCode(words('logged_off'));
  }

  async changeStaff() {
    this.outcome.leave();
    this.scanning.end();
    try {
      await this.api.staffLeaves();
    } catch {
      // the next look at the session says what holds
    }
    await this.refresh();
  }

  _wipe() {
    this._serial += 1;
    this.outcome.leave();
    this.scanning.end();
    this.signals.hush();
    this.log.wipe();
    this.settings.set('purpose', null);
    this.offline?.wipe().catch(() => {});
    this.state = null;
    this.challenge.want(null);
    keepAwake(false);
    for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
    this._screen('admit');
  }

  _beat() {
    setInterval(() => {
      if (document.hidden || !this.state) return;
      this.refresh();
    }, BEAT);
    setInterval(() => {
      this.strip.pending = this.offline?.pending() ?? 0;
      this.strip.alone = this.offline?.state() ?? null;
      this.strip.show();
    }, 1000);
    addEventListener('online', () => this.refresh());
    addEventListener('offline', () => this.heard(false));
  }

  /** The network answered, or did not. */
  heard(online, timing) {
    this.strip.online = online;
    if (timing?.date) this.strip.timing = timing;
    this.strip.show();
  }

  _screen(name) {
    document.body.dataset.screen = name;
    for (const screen of document.querySelectorAll('[data-screen-name]')) screen.hidden = screen.dataset.screenName !== name;
  }

  /** What a purpose is called: the service says it, in both languages. */
  nameOf(purpose) {
    const names = this.state?.purposes?.find((one) => one.purpose === purpose)?.names;
    return names?.[spoken()] ?? purpose ?? '';
  }

  _purposes() {
    const offered = this.state.purposes ?? [];
    if (!this.purpose() && offered.length === 1) this.settings.set('purpose', offered[0].purpose);
    const list = find('purposes');
    const key = JSON.stringify([offered, this.purpose(), spoken()]);
    if (list.dataset.key !== key) {
      list.dataset.key = key;
      list.replaceChildren(
        ...offered.map(({ purpose }) => {
          const input = make('input', { type: 'radio', name: 'purpose', value: purpose });
          input.checked = purpose === this.purpose();
          input.addEventListener('change', () => {
            this.settings.set('purpose', purpose);
            this._purposes();
            input.blur();
          });
          return make('label', {}, input, make('span', { text: this.nameOf(purpose) }));
        }),
      );
    }
    this.challenge.want(offered.some((one) => one.purpose === this.purpose() && one.challenge) ? this.purpose() : null);
    document.body.dataset.purpose = this.purpose() ? 'chosen' : 'missing';
  }

  // A scan

  /** Texts that were read in one picture or by a scanner. */
  async read(texts, way, more) {
    performance.mark('ecard:text');
    if (!this.purpose()) return this._done(local('undecided', 'purpose_missing', { way }));
    const { result, scan, inputMethod } = this.judge.read(texts, way, more);
    find('input-method').hidden = !(inputMethod || result?.reason === 'input_method');
    return result ? this._done(result) : this._judged(scan);
  }

  /** A picture that was not opened. */
  said(reason, way) {
    performance.mark('ecard:text');
    this._done(local('undecided', reason, { way, purpose: this.purpose() }));
  }

  again({ scan }) {
    performance.mark('ecard:text');
    return this._judged(scan);
  }

  async _judged(scan) {
    this._serial += 1;
    const turn = this._serial;
    this.busy(true);
    const result = await this.judge.verdict(scan);
    if (ACCEPTED.includes(result.outcome) && !result.offline) this.offline?.note(scan.code);
    if (turn !== this._serial) return; // a later scan is on the screen, or the counter was ended
    this._done(result.outcome === 'undecided' ? { ...result, scan } : result);
  }

  busy(on = true) {
    document.body.dataset.busy = on ? 'yes' : 'no';
    if (on) find('reading').textContent = words('reading');
  }

  /** Whether nobody has been served for a while, and nothing is on the screen. */
  resting() {
    return !this.outcome.shown && document.body.dataset.busy !== 'yes' && performance.now() - this._last > REST;
  }

  _done(result) {
    this._serial += 1;
    this._last = performance.now();
    this.busy(false);
    if (!this.state) return;
    for (const id of ['digits', 'shift']) find(id).close();
    this.outcome.show(result, () => {
      performance.mark('ecard:painted');
      if (performance.getEntriesByName('ecard:text').length) performance.measure('ecard:scan', 'ecard:text', 'ecard:painted');
      performance.clearMarks();
    });
    this.signals.give(result.outcome, result.reason);
    if (ACCEPTED.includes(result.outcome)) this.scanning.showings.settled();
    if (result.verification_id || result.offline) this.log.add(result);
    this.integration.tell(result);
    find('outcome-back').hidden = !this.integration.address(result);
  }

  /** A result has left the screen: a system that waits for us to return gets its id. */
  left(result) {
    this.signals.hush();
    if (!result.here) this.challenge.renew();
    const address = this.state && this.integration.address(result);
    if (address) location.assign(address);
  }
}
