// What the page keeps on this device, in IndexedDB: it outlives a reload and a closed tab, and two tabs see the same.
//
//   held   one record each: `bundle`, `rules`, `clock`, `session`
//   seen   codes that were accepted here, by credential, time and nonce, until they are long over
//   queue  scans that the service has not heard of, by scan id
// No name, number or photo is among them; a code in the queue is what was scanned, and goes with its upload.

const NAME = 'ecard-counter';
const VERSION = 1;
/** Codes and scans that are kept at most; a counter makes a few thousand a day. */
export const MOST_SEEN = 50_000;
export const MOST_QUEUED = 5_000;
const TIDY = 200; // old codes forgotten at a time

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = (event) => {
      event.preventDefault(); // else the transaction and with it others' requests would be given up
      reject(request.error);
    };
  });

const finished = (transaction) =>
  new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error('given up'));
  });

export class Store {
  constructor(database) {
    this._database = database;
    database.onversionchange = () => database.close(); // another tab wipes it
  }

  /** Opens what is kept, or makes it. Rejects where the browser does not let us keep anything. */
  static async open(indexedDB) {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore('held');
      request.result.createObjectStore('seen', { keyPath: 'key' }).createIndex('until', 'until');
      request.result.createObjectStore('queue', { keyPath: 'scan_id' });
    };
    return new Store(await done(request));
  }

  /** Deletes everything, in every tab. Resolves when it is gone, or another tab is about to let go of it. */
  static wipe(indexedDB) {
    return new Promise((resolve) => {
      const request = indexedDB.deleteDatabase(NAME);
      request.onsuccess = request.onerror = request.onblocked = () => resolve();
    });
  }

  close() {
    this._database.close();
  }

  held(name) {
    return done(this._database.transaction('held').objectStore('held').get(name));
  }

  async hold(name, value) {
    const transaction = this._database.transaction('held', 'readwrite');
    transaction.objectStore('held').put(value, name);
    await finished(transaction);
  }

  /** Replaces what is held by what `change` makes of it, at once for all tabs; `undefined` leaves it. */
  async change(name, change) {
    const transaction = this._database.transaction('held', 'readwrite');
    const held = transaction.objectStore('held');
    const value = change(await done(held.get(name)));
    if (value !== undefined) held.put(value, name);
    await finished(transaction);
  }

  /**
   * Marks a code as accepted by a scan and puts the scan's upload down, both or neither. Gives null, or the mark that
   * was there before: of two tabs, or two scans, one comes first. Rejects where either list is full.
   */
  async claim(mark, upload, now) {
    const transaction = this._database.transaction(['seen', 'queue'], 'readwrite', { durability: 'strict' });
    const [seen, queue] = [transaction.objectStore('seen'), transaction.objectStore('queue')];
    await this._forget(seen, now);
    const before = (await done(seen.get(mark.key))) ?? null;
    const full = (await done(seen.count())) >= MOST_SEEN;
    const taken = before !== null && before.scan_id !== mark.scan_id;
    if (!taken && !full) seen.put(mark);
    if (full || (!taken && !(await this._put(queue, upload)))) {
      transaction.abort();
      await finished(transaction).catch(() => {});
      throw new Error('full');
    }
    await finished(transaction);
    return taken ? before : null;
  }

  /** A code that was accepted elsewhere, by the service for this counter. */
  async mark(mark, now) {
    const transaction = this._database.transaction('seen', 'readwrite');
    const seen = transaction.objectStore('seen');
    await this._forget(seen, now);
    if ((await done(seen.get(mark.key))) === undefined) seen.put(mark);
    await finished(transaction);
  }

  /** Puts an upload down; one with its scan id stays as it is. Rejects where the list is full. */
  async queue(upload) {
    const transaction = this._database.transaction('queue', 'readwrite', { durability: 'strict' });
    const stored = await this._put(transaction.objectStore('queue'), upload);
    await finished(transaction);
    if (!stored) throw new Error('full');
  }

  async _put(queue, upload) {
    if ((await done(queue.getKey(upload.scan_id))) !== undefined) return true;
    if ((await done(queue.count())) >= MOST_QUEUED) return false;
    queue.put(upload);
    return true;
  }

  /** Codes that nobody could accept any more, by any clock that is an hour off at the most. */
  async _forget(seen, now) {
    const keys = await done(seen.index('until').getAllKeys(IDBKeyRange.upperBound(now - 3600), TIDY));
    for (const key of keys) seen.delete(key);
  }

  /** At most so many uploads, in the order of their ids, from the one after `after` on. */
  queued(most, after = null) {
    const range = after === null ? null : IDBKeyRange.lowerBound(after, true);
    return done(this._database.transaction('queue').objectStore('queue').getAll(range, most));
  }

  pending() {
    return done(this._database.transaction('queue').objectStore('queue').count());
  }

  async uploaded(scanIds) {
    const transaction = this._database.transaction('queue', 'readwrite');
    for (const scanId of scanIds) transaction.objectStore('queue').delete(scanId);
    await finished(transaction);
  }
}
