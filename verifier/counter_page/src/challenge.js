// The counter shows first: for purposes that demand it, a code that the holder's app answers, so that a relayed screen is of
// no use. It is good for two minutes; a fresh one takes its place in time, and after each scan that it was for.
import encodeQR from 'qr';
import { find } from './dom.js';
import { words } from './words.js';

const MARGIN = 4; // modules
const EARLY = 10; // seconds before its end at which a code is replaced
const LEAST = 30; // seconds that one is shown for where the clocks disagree about its end
const RETRY = 3000; // milliseconds

/** Draws `text` black on white, whatever the theme. */
const draw = (canvas, text) => {
  const modules = encodeQR(text, 'raw', { ecc: 'medium', border: MARGIN });
  const scale = Math.max(1, Math.floor(480 / modules.length));
  [canvas.width, canvas.height] = [modules.length * scale, modules.length * scale];
  const context = canvas.getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = '#000';
  modules.forEach((row, y) => row.forEach((dark, x) => dark && context.fillRect(x * scale, y * scale, scale, scale)));
};

export class Challenge {
  /** `ask(purpose)` fetches one; `offset()` is by how many seconds the service's clock is ahead of this one's. */
  constructor({ ask, offset }) {
    Object.assign(this, { ask, offset });
    this._purpose = null;
    this._held = null;
    this._turn = 0;
    setInterval(() => this._tick(), 1000);
  }

  /** What a scan says that it answers; null where nothing is shown. */
  get id() {
    return this._held?.challenge_id ?? null;
  }

  /** Shows one for `purpose`, or none. The same purpose again changes nothing. */
  want(purpose) {
    if (purpose === this._purpose) return;
    this._purpose = purpose;
    this._held = null;
    document.body.dataset.challenge = purpose ? 'on' : 'off';
    find('challenge').hidden = !purpose;
    if (purpose) this.renew();
  }

  /** Another one: this was answered, or is over. */
  async renew() {
    this._turn += 1;
    const turn = this._turn;
    const purpose = this._purpose;
    if (!purpose) return;
    this._held = null;
    this._say('challenge_wait');
    try {
      const made = await this.ask(purpose);
      if (turn !== this._turn) return;
      draw(find('challenge-code'), made.text);
      this._held = made;
      const left = Date.parse(made.expires_at) / 1000 - Date.now() / 1000 - this.offset();
      this._end = performance.now() / 1000 + Math.max(LEAST, left || 0);
      this._tick();
    } catch {
      if (turn !== this._turn) return;
      this._say('challenge_missing');
      setTimeout(() => turn === this._turn && this.renew(), RETRY);
    }
  }

  _tick() {
    if (!this._held) return;
    const left = this._end - performance.now() / 1000;
    if (left < EARLY) this.renew();
    else this._say('challenge_left', { n: Math.floor(left) });
  }

  _say(key, values) {
    find('challenge-code').hidden = !this._held;
    find('challenge-left').textContent = words(key, values);
  }
}
