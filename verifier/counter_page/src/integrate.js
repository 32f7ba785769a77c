// A system behind the counter that opened this page, or shows it in a frame, hears which verification there was: the id and
// nothing else, for it must ask the service itself. Only origins that the service named for this counter hear anything.

const STATE = /^[\x21-\x7e]{1,200}$/;

export class Integration {
  constructor(place = location, around = window) {
    const query = new URLSearchParams(place.search);
    const state = query.get('state');
    this._state = state && STATE.test(state) ? state : null;
    this._back = query.get('return');
    this._around = around;
    this._origins = [];
  }

  /** `origins` as the service lists them. */
  allow(origins) {
    this._origins = Array.isArray(origins) ? origins.filter((origin) => typeof origin === 'string' && origin !== '*') : [];
  }

  tell({ verification_id: id }) {
    const { opener, parent } = this._around;
    const other = parent !== this._around ? parent : opener;
    if (!id || !other) return;
    for (const origin of this._origins) {
      try {
        other.postMessage({ type: 'ecard:verification', verification_id: id, state: this._state }, origin);
      } catch {
        // not an origin; the others still hear it
      }
    }
  }

  /** The address to go back to with this result, or null: no `return`, or not to one of the origins. */
  address({ verification_id: id }) {
    if (!id || !this._back || !URL.canParse(this._back)) return null;
    const target = new URL(this._back);
    if (!/^https?:$/.test(target.protocol) || !this._origins.includes(target.origin)) return null;
    target.searchParams.set('verification_id', id);
    if (this._state) target.searchParams.set('state', this._state);
    return target.href;
  }
}
