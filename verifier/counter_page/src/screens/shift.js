// The list of this shift: times, outcomes and ids, no names. The service's list where it can be asked, else this device's.
import { find, make } from '../dom.js';
import { csv } from '../shift_log.js';
import { clockTime, has, sentenceOf, words } from '../words.js';

export class ShiftScreen {
  constructor({ api, log, nameOf }) {
    Object.assign(this, { api, log, nameOf });
    this._items = [];
    find('shift-open').addEventListener('click', () => this.open());
    find('shift-export').addEventListener('click', () => this._export());
  }

  async open() {
    find('shift').showModal();
    this._show(this.log.items(), true);
    try {
      this._show((await this.api.shift()).rows, false);
    } catch {
      // what this device knows stays on the screen, and says so
    }
  }

  _show(items, alone) {
    this._items = Array.isArray(items) ? items : [];
    find('shift-local').hidden = !alone;
    find('shift-empty').hidden = this._items.length > 0;
    find('shift-table').hidden = this._items.length === 0;
    find('shift-rows').replaceChildren(...this._items.map((item) => this._row(item)));
  }

  _row({ at, outcome, reason, reference, purpose }) {
    const known = has(`outcome.${outcome}`) ? outcome : 'undecided';
    return make(
      'tr',
      { 'data-outcome': known },
      make('td', { text: clockTime(new Date(at)) }),
      make('td', {}, make('span', { class: 'mark', 'aria-hidden': 'true' }), make('span', { text: words(`outcome.${known}`) })),
      make('td', { text: sentenceOf(known, reason) }),
      make('td', { text: this.nameOf(purpose) }),
      make('td', { class: 'id', text: reference ?? '' }),
    );
  }

  _export() {
    const url = URL.createObjectURL(new Blob(['\uFEFF', csv(this._items)], { type: 'text/csv;charset=utf-8' }));
    make('a', { href: url, download: `shift-${new Date().toISOString().slice(0, 10)}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}
