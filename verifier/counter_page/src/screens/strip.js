// The strip: online or not, status as of when, how old the trust list is, whether the clock is right, and where we are.
import { find } from '../dom.js';
import { clockTime, span, words } from '../words.js';

const CLOCK = 30; // seconds by which a device may differ before codes look old or early
const STATUS = 120; // seconds after which the status is worth a look
const TRUST = 86400; // seconds

const set = (id, text, level) => {
  const element = find(id);
  element.textContent = text;
  element.dataset.level = level;
};

export class Strip {
  constructor() {
    this.online = null;
    this.state = null;
    this.offset = null;
    this.pending = 0;
    this.alone = null; // what the page knows without the service
  }

  /** What the service said: a CounterState, with the times of asking and hearing (ms). */
  told(state, { began, ended } = {}) {
    this.state = state;
    const now = Date.parse(state.now);
    if (!Number.isNaN(now) && began !== undefined) this.offset = (now - (began + ended) / 2) / 1000;
    this.show();
  }

  show(now = Date.now()) {
    if (!this.state) return;
    const { group, branch, counter, staff } = this.state;
    set('strip-online', words(this.online === false ? 'offline' : 'online'), this.online === false ? 'warn' : 'good');
    this._status(now);
    this._trust(now);
    this._clock();
    const nameOf = (one) => (one && typeof one === 'object' ? one.name : one) ?? '';
    set('strip-place', [nameOf(group), nameOf(branch), counter?.name].filter(Boolean).join(' · '), 'plain');
    set('strip-staff', staff ? staff.alias : '', 'plain');
    set('strip-pending', this.pending ? words('pending', { n: this.pending }) : '', 'warn');
  }

  /** As the service says it; without it as this device knows it. */
  _known(name) {
    return this.online === false && this.alone ? this.alone[name] : this.state[name];
  }

  _status(now) {
    const asOf = Date.parse(this._known('status_as_of'));
    if (Number.isNaN(asOf)) set('strip-status', words('status_unknown'), 'warn');
    else {
      const old = now / 1000 + (this.offset ?? 0) - asOf / 1000 > STATUS;
      set('strip-status', words('status_as_of', { time: clockTime(new Date(asOf), new Date(now)) }), old ? 'warn' : 'good');
    }
  }

  _trust(now) {
    const true_now = now / 1000 + (this.offset ?? 0);
    const asOf = Date.parse(this._known('trust_as_of'));
    if (Date.parse(this._known('trust_expires_at')) / 1000 < true_now) set('strip-trust', words('trust_over'), 'bad');
    else if (Number.isNaN(asOf)) set('strip-trust', words('trust_unknown'), 'warn');
    else {
      const age = true_now - asOf / 1000;
      set('strip-trust', words('trust_age', { span: span(age) }), age > TRUST ? 'warn' : 'good');
    }
  }

  _clock() {
    if (this.offset === null) set('strip-clock', words('clock_unknown'), 'warn');
    else if (Math.abs(this.offset) > CLOCK) set('strip-clock', words('clock_wrong', { span: span(Math.abs(this.offset)) }), 'bad');
    else set('strip-clock', words('clock_ok'), 'good');
  }
}
