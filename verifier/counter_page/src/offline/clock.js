// What time it is, and whether that can be relied on. A device's clock may be wrong, and may be set while we look: what
// it says is compared with the service's last word and with the time that has passed since by another count.

const SLACK = 60; // seconds by which clocks may differ
const WIDE = 3600; // seconds: an offset beyond this is no offset, the clock was set

/**
 * `wall()` is the device's clock and `steady()` a count that nobody sets, both in milliseconds; `kept` is what `record`
 * gave before, or undefined. The time is in seconds, with fractions.
 */
export class Clock {
  constructor(wall, steady, kept) {
    this._wall = wall;
    this._steady = steady;
    this._offset = kept?.offset ?? 0;
    this._highest = kept?.highest ?? 0;
    this._anchor = null;
  }

  /** The service says that it is `now` (seconds); the answer came `took` milliseconds after the question. */
  told(now, took) {
    const middle = now + 0.5; // a `Date` says whole seconds
    if (took > 5000) return;
    this._anchor = { now: middle, steady: this._steady() };
    this._offset = middle - this._wall() / 1000;
    this._highest = now; // whatever was seen before, the service knows better
  }

  /** `{now, behind, sure}`; `dated` is the newest date in what was signed. Behind: the clock was set back, or is wrong. */
  read(dated = 0) {
    const wall = this._wall() / 1000;
    const now = wall + (Math.abs(this._offset) <= WIDE ? this._offset : 0);
    let behind = now < Math.max(this._highest, dated) - SLACK;
    let sure = false;
    if (this._anchor) {
      const counted = this._anchor.now + (this._steady() - this._anchor.steady) / 1000;
      behind ||= now < counted - SLACK;
      sure = Math.abs(now - counted) <= SLACK; // a device that slept counts too little: then nobody can tell
    }
    if (!behind) this._highest = Math.max(this._highest, Math.floor(now));
    return { now, behind, sure };
  }

  /** What to keep for the next time that the page is opened. */
  record() {
    return { offset: this._offset, highest: this._highest };
  }
}
