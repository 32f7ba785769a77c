// Handing in what was judged without a network: each scan once, none lost. A scan leaves the queue when the service has
// answered for it, and not before; it knows the ids, so that one sent twice is one.

const BATCH = 100;
const BACK_OFF = [2_000, 5_000, 15_000, 60_000, 300_000]; // milliseconds

export class Uploads {
  /** `send` posts items and gives a Response; `store()` is the store or null; `gone` is told that nobody wants them. */
  constructor({ send, store, gone, wait = (work, after) => setTimeout(work, after), random = Math.random }) {
    Object.assign(this, { _send: send, _store: store, _gone: gone, _wait: wait, _random: random });
    this.waiting = 0;
    this._failures = 0;
    this._batch = BATCH;
    this._timer = null;
    this._stopped = false;
    globalThis.addEventListener?.('online', () => this.flush());
  }

  /** How many there are, as another tab may have handed some in. */
  async count() {
    this._stopped = false;
    this.waiting = (await this._store()?.pending()) ?? 0;
    if (this.waiting) this._later(1000);
  }

  /** There is one more. */
  added() {
    this.waiting += 1;
    this._later(BACK_OFF[0]);
  }

  stop() {
    this._stopped = true;
    this.waiting = 0;
    clearTimeout(this._timer);
    this._timer = null;
  }

  /** Hands in what there is; resolves with the number that is left. One tab at a time, one batch after another. */
  flush() {
    this._flushing ??= this._alone(() => this._flush())
      .catch(() => this._failed())
      .finally(() => {
        this._flushing = null;
      })
      .then(() => this.waiting);
    return this._flushing;
  }

  _alone(work) {
    const locks = globalThis.navigator?.locks;
    return locks ? locks.request('ecard-counter-uploads', work) : work();
  }

  async _flush() {
    let [after, left] = [null, 0];
    while (!this._stopped) {
      const items = (await this._store()?.queued(this._batch, after)) ?? [];
      if (items.length === 0) break;
      const answer = await this._send(items);
      if (answer.status === 401) return this._gone();
      const refused = answer.status === 413 || answer.status === 422;
      if (refused && items.length > 1) {
        this._batch = Math.ceil(items.length / 4);
        continue;
      }
      if (!refused && !answer.ok) throw new Error('not now');
      const taken = refused ? [] : await this._answered(answer, items);
      await this._store()?.uploaded(taken);
      left += items.length - taken.length;
      after = items.at(-1).scan_id;
      this._batch = BATCH;
    }
    this.waiting = this._stopped ? 0 : ((await this._store()?.pending()) ?? 0);
    if (left) throw new Error('not now');
    this._failures = 0;
    return undefined;
  }

  /** The scans that the service has put down, of those that it was sent. */
  async _answered(answer, items) {
    const { items: answered } = await answer.json();
    const sent = new Set(items.map((item) => item.scan_id));
    return answered.filter((one) => one.verification_id && sent.has(one.scan_id)).map((one) => one.scan_id);
  }

  _failed() {
    if (this._stopped) return;
    const pause = BACK_OFF[Math.min(this._failures, BACK_OFF.length - 1)];
    this._failures += 1;
    this._later(pause * (0.75 + this._random() / 2));
  }

  _later(after) {
    if (this._timer !== null || this._stopped) return;
    this._timer = this._wait(() => {
      this._timer = null;
      if (this.waiting) this.flush();
    }, after);
  }
}
