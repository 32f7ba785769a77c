// The field for ten digits with a keypad of its own: read out by the holder, typed by the clerk.
import { find } from '../dom.js';
import { asNumber } from '../reading/text.js';

const LENGTH = 10;

export class Digits {
  /** `done(text)` is called with ten digits. */
  constructor({ done }) {
    this.done = done;
    const field = find('digits-field');
    find('digits-open').addEventListener('click', () => {
      find('digits').showModal();
      this._set('');
      field.focus();
    });
    field.addEventListener('input', () => this._set(field.value));
    find('digits-pad').addEventListener('click', ({ target }) => {
      const key = target.closest('button')?.dataset.key;
      if (key === 'delete') this._set(this._bare().slice(0, -1));
      else if (key) this._set(this._bare() + key);
    });
    find('digits-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const number = asNumber(field.value);
      if (!number) return;
      find('digits').close();
      this.done(number);
    });
  }

  _bare() {
    return find('digits-field').value.replace(/\D/g, '');
  }

  _set(text) {
    const digits = text
      .replace(/[\uFF10-\uFF19]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0))
      .replace(/\D/g, '')
      .slice(0, LENGTH);
    find('digits-field').value = digits.replace(/^(.{5})(?=.)/, '$1 ');
    find('digits-go').disabled = digits.length !== LENGTH;
  }
}
