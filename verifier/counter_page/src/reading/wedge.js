// A hand-held scanner that types. It needs no focus: keys are heard by the window, and speed tells a scanner from a person.

/** Milliseconds of silence that end a text; a scanner types a key in 15 to 60, a person in 100 to 200. */
export const SILENCE = 80;
/** Milliseconds granted to a text with our prefix that is not whole yet. */
export const PATIENCE = 320;
const FEWEST = 8; // characters: less at speed is somebody's shortcut
const LONGEST = 5000;

// What a key would have typed on the layout that scanners come with, where an input method swallowed its character.
const SIGNS = { Semicolon: [';', ':'], Slash: ['/', '?'], Period: ['.', '>'], Minus: ['-', '_'], Space: [' ', ' '] };
const signOf = (code, shift) => {
  const letter = /^Key([A-Z])$/.exec(code);
  if (letter) return letter[1];
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(code);
  if (digit) return digit[1];
  return SIGNS[code] ? SIGNS[code][shift ? 1 : 0] : '';
};

/**
 * Puts keys together. `done({text, inputMethod})` is called with a text that came at a scanner's speed;
 * `whole(text)` says whether it needs no more; `later(f, ms)` returns a function that calls it off.
 */
export class Wedge {
  constructor({ done, whole, later }) {
    Object.assign(this, { done, whole, later });
    this.reset();
  }

  reset() {
    this.text = '';
    this.inputMethod = 0;
    this.last = -Infinity;
    this.alt = null;
    this.callOff?.();
    this.callOff = null;
  }

  /** How many characters have come at speed so far. */
  get length() {
    return this.text.length;
  }

  /** A key went down. Returns whether it belongs to a scanner's text, so that nothing else should take it. */
  down({ key, code, shiftKey, altKey, ctrlKey, metaKey, isComposing, timeStamp, repeat }) {
    if (repeat || ctrlKey || metaKey) return false;
    const gap = timeStamp - this.last;
    const limit = this._ours() ? PATIENCE : SILENCE;
    if (gap > limit) {
      this._end();
      this.reset();
    }
    if (key === 'Enter' || key === 'Tab') return this._closed();
    if (altKey && /^Numpad[0-9]$/.test(code)) {
      this.alt = (this.alt ?? '') + code.slice(-1);
      return this._heard(timeStamp);
    }
    if (altKey) return false;
    const swallowed = isComposing || key === 'Process' || key === 'Unidentified';
    const sign = swallowed ? signOf(code, shiftKey) : key.length === 1 ? key : '';
    if (!sign) return false;
    if (swallowed) this.inputMethod += 1;
    return this._typed(sign, timeStamp);
  }

  /** A key went up: Alt ends the number of a character. */
  up({ key, timeStamp }) {
    if (key !== 'Alt' || this.alt === null) return;
    const number = Number(this.alt);
    this.alt = null;
    this._typed(number >= 32 && number < 127 ? String.fromCharCode(number) : '\uFFFD', timeStamp);
  }

  _typed(sign, timeStamp) {
    if (this.text.length < LONGEST) this.text += sign;
    return this._heard(timeStamp);
  }

  _heard(timeStamp) {
    this.last = timeStamp;
    this._wait(SILENCE, () => {
      if (this.whole(this.text) || !this._ours()) this._finish();
      else this._wait(PATIENCE - SILENCE, () => this._finish());
    });
    return this.text.length >= 4;
  }

  _wait(milliseconds, then) {
    this.callOff?.();
    this.callOff = this.later(then, milliseconds);
  }

  _ours() {
    return /^[eEｅＥ][cCｃＣ][01０１][:：]/.test(this.text);
  }

  _closed() {
    const taken = this.text.length >= FEWEST;
    this._finish();
    return taken;
  }

  _finish() {
    this._end();
    this.reset();
  }

  _end() {
    if (this.text.length < FEWEST) return;
    const { text, inputMethod } = this;
    this.text = '';
    this.done({ text, inputMethod: inputMethod > 2 });
  }
}

/** Lets `wedge` hear the keys of `target` while `active()`; what it typed into a field of the page is taken out again. */
export const listen = (wedge, active, target = window) => {
  let field = null;
  let before = '';
  target.addEventListener(
    'keydown',
    (event) => {
      if (!active()) return wedge.reset();
      const element = event.target;
      if (wedge.length === 0 && 'value' in element) [field, before] = [element, element.value];
      const had = wedge.length;
      const taken = wedge.down(event);
      if (!taken) return undefined;
      event.preventDefault();
      if (field && had >= 3) field.value = before;
      if (event.key === 'Enter' || event.key === 'Tab') event.stopPropagation();
      return undefined;
    },
    true,
  );
  target.addEventListener('keyup', (event) => wedge.up(event), true);
};
