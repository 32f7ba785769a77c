// The result on the screen: word, shape, colour and reason; it leaves by itself, can be held, and the next one replaces it.
import { find, make, painted } from '../dom.js';
import { clockTime, has, sentenceOf, stepOf, words } from '../words.js';

const PHOTO = /^data:image\/(jpeg|png|webp);base64,([A-Za-z0-9+/=]+)$/;

const photoUrl = (value) => {
  const bare = typeof value === 'string' ? PHOTO.exec(value) : null;
  if (!bare) return null;
  const bytes = Uint8Array.from(atob(bare[2]), (sign) => sign.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: `image/${bare[1]}` }));
};

const label = (field) => (has(`field.${field}`) ? words(`field.${field}`) : field);

export class OutcomeScreen {
  /** `seconds()` says how long a result stays; `gone()` is called when it has left; `again(result)` asks once more. */
  constructor({ seconds, gone, again }) {
    Object.assign(this, { seconds, gone, again });
    this.result = null;
    this.held = false;
    this._left = 0;
    this._photo = null;
    const hold = find('outcome-hold');
    hold.addEventListener('click', () => this.hold(!this.held));
    const panel = find('outcome');
    panel.addEventListener('pointerdown', (event) => !event.target.closest('button, summary') && this._press(true));
    for (const end of ['pointerup', 'pointercancel', 'pointerleave']) panel.addEventListener(end, () => this._press(false));
    find('outcome-next').addEventListener('click', () => this.leave());
    find('outcome-again').addEventListener('click', () => this.again(this.result));
  }

  get shown() {
    return this.result !== null;
  }

  /** Shows `result`; `then` is called once it is on the glass. */
  show(result, then = () => {}) {
    this._clear();
    this.result = result;
    this.held = false;
    const panel = find('outcome');
    panel.dataset.outcome = result.outcome;
    panel.hidden = false;
    find('ready').hidden = true;
    document.body.dataset.outcome = result.outcome;
    this._say();
    this._start();
    painted(then);
  }

  /** The words again, in the language that is spoken now. */
  _say() {
    const { outcome, reason } = this.result;
    find('outcome-live').replaceChildren(
      make('p', { class: 'word', text: words(`outcome.${outcome}`) }),
      make('p', { class: 'reason', text: sentenceOf(outcome, reason) }),
      make('p', { class: 'step', text: stepOf(outcome, reason) }),
    );
    find('outcome-test').hidden = !this.result.test_card;
    find('outcome-offline').hidden = !this.result.offline;
    this._saySeen();
    this._sayFields();
    this._sayDetails();
    find('outcome-again').hidden = !(outcome === 'undecided' && this.result.scan);
    this._sayHold();
  }

  _saySeen() {
    const seen = this.result.first_seen;
    const at = seen && new Date(seen.at);
    find('outcome-seen').textContent = at && !Number.isNaN(at.getTime()) ? words(seen.here ? 'seen_here' : 'seen_elsewhere', { time: clockTime(at) }) : '';
  }

  _sayFields() {
    const list = find('outcome-fields');
    list.replaceChildren();
    const photo = photoUrl(this.result.shown.photo);
    for (const [field, value] of Object.entries(this.result.shown)) {
      if (field === 'photo' || value === null || typeof value === 'object') continue;
      list.append(make('div', { class: `field ${field === 'name' ? 'name' : ''}` }, make('dt', { text: label(field) }), make('dd', { text: String(value) })));
    }
    const picture = find('outcome-photo');
    picture.hidden = !photo;
    find('outcome-missing').textContent = this.result.shown_missing ? sentenceOf('check', this.result.shown_missing) : '';
    if (photo) [picture.src, this._photo] = [photo, photo];
  }

  _sayDetails() {
    const { reference, reason, status_as_of: asOf, chip_assurance: chip, holder_proof: holder, way } = this.result;
    const named = (kind, value) => (has(`${kind}.${value}`) ? words(`${kind}.${value}`) : value);
    const rows = [
      ['reason', reason],
      ['reference', reference],
      ['status', asOf && clockTime(new Date(asOf))],
      ['chip', chip && named('chip', chip)],
      ['holder', holder && named('holder', holder)],
      ['way', way && named('way', way)],
    ];
    find('outcome-details').replaceChildren(
      ...rows.filter(([, value]) => value).map(([key, value]) => make('div', {}, make('dt', { text: words(`detail.${key}`) }), make('dd', { text: value }))),
    );
  }

  _sayHold() {
    find('outcome-hold').textContent = words(this.held ? 'held' : 'hold');
    find('outcome-hold').setAttribute('aria-pressed', String(this.held));
  }

  /** Keeps the result, or lets its time run on. */
  hold(on) {
    if (!this.shown) return;
    this.held = on;
    this._sayHold();
    this._run();
  }

  _press(on) {
    this._pressed = on;
    this._run();
  }

  _start() {
    this._left = this._whole = this.seconds() * 1000;
    this._pressed = false;
    find('outcome').querySelector('details').open = false;
    this._run();
  }

  // One timer for the end; the bar is a transition of the style sheet, so that a still picture costs nothing.
  _run() {
    clearTimeout(this._timer);
    if (this._began) this._left -= performance.now() - this._began;
    this._began = null;
    const bar = find('outcome-bar');
    bar.style.transition = 'none';
    bar.style.transform = `scaleX(${Math.max(0, this._left / this._whole)})`;
    if (!this.shown || this.held || this._pressed) return;
    void bar.offsetWidth; // the browser takes the place where it begins
    bar.style.transition = `transform ${Math.max(0, this._left)}ms linear`;
    bar.style.transform = 'scaleX(0)';
    this._began = performance.now();
    this._timer = setTimeout(() => this.leave(), Math.max(0, this._left));
  }

  leave() {
    if (!this.shown) return;
    const left = this.result;
    this._clear();
    find('outcome').hidden = true;
    find('ready').hidden = false;
    delete document.body.dataset.outcome;
    this.gone(left);
  }

  _clear() {
    clearTimeout(this._timer);
    this._began = null;
    this.result = null;
    if (this._photo) URL.revokeObjectURL(this._photo);
    this._photo = null;
    find('outcome-photo').removeAttribute('src');
    for (const id of ['outcome-live', 'outcome-fields', 'outcome-details']) find(id).replaceChildren();
    for (const id of ['outcome-seen', 'outcome-missing']) find(id).textContent = '';
  }

  /** After a change of language. */
  renew() {
    if (this.shown) this._say();
  }
}
