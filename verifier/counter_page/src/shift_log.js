// What this device remembers of its shift, and how it is exported: times, outcomes and ids, no names.

const KEY = 'ecard-counter.shift';
const MOST = 500;
const COLUMNS = ['at', 'outcome', 'reason', 'reference', 'purpose', 'way'];

/** Kept in this browser until the counter is left. */
export class ShiftLog {
  constructor(storage = localStorage) {
    this._storage = storage;
  }

  /** Newest first. */
  items() {
    try {
      const kept = JSON.parse(this._storage.getItem(KEY));
      return Array.isArray(kept) ? kept : [];
    } catch {
      return [];
    }
  }

  add(result) {
    const { recorded_at: at, outcome, reason, purpose, way } = result;
    const row = { at, outcome, reason, reference: result.reference ?? result.scan_id, purpose, way };
    try {
      this._storage.setItem(KEY, JSON.stringify([row, ...this.items()].slice(0, MOST)));
    } catch {
      // a full or forbidden storage costs the list, not the scan
    }
  }

  wipe() {
    try {
      this._storage.removeItem(KEY);
    } catch {
      // nothing was kept
    }
  }
}

/** As CSV (RFC 4180); a cell that a spreadsheet would take for a formula is text. */
export const csv = (items) => {
  const cell = (value) => {
    const text = String(value ?? '');
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [COLUMNS, ...items.map((item) => COLUMNS.map((name) => item[name]))].map((row) => row.map(cell).join(',')).join('\r\n') + '\r\n';
};
