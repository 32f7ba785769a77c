// The browser as the core's platform: fetch, WebCrypto, and a key store per link in IndexedDB.
import { generate, publicJwk, signer } from './core/device_key.js';

const DATABASE = 'ecard-code';
const STORE = 'devices';
const TIMEOUT = 40_000; // milliseconds; the service answers a waiting request after 25 s

const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const opened = () => {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  return settled(request);
};

/** The pair kept for `slot`, or a new one; of two pages that make one at once, both get the first. */
const pairOf = async (slot) => {
  const database = await opened();
  try {
    const kept = await settled(database.transaction(STORE).objectStore(STORE).get(slot));
    if (kept) return kept;
    const made = await generate(crypto);
    const store = database.transaction(STORE, 'readwrite').objectStore(STORE);
    const first = await settled(store.get(slot));
    if (first) return first;
    await settled(store.add(made, slot));
    return made;
  } finally {
    database.close();
  }
};

/** `service` is the address of the card authority. */
export const browserPlatform = (service) => ({
  now: () => Date.now(),
  wait: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
  random: (count) => crypto.getRandomValues(new Uint8Array(count)),

  sha256: async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)),

  async request(method, path, body, token) {
    const control = new AbortController();
    const timer = setTimeout(() => control.abort(), TIMEOUT);
    try {
      const headers = { Accept: 'application/json' };
      if (body) headers['Content-Type'] = 'application/json';
      if (token) headers.Authorization = `Bearer ${token}`;
      const answer = await fetch(service + path, {
        method,
        headers,
        body: body && JSON.stringify(body),
        credentials: 'omit',
        cache: 'no-store',
        referrerPolicy: 'no-referrer',
        signal: control.signal,
      });
      const read = await answer.json().catch(() => null);
      return { status: answer.status, date: answer.headers.get('Date'), body: read };
    } finally {
      clearTimeout(timer);
    }
  },

  /** Null where the browser keeps no key: codes then come from the service. */
  async device(slot) {
    try {
      const pair = await pairOf(slot);
      return { jwk: await publicJwk(crypto, pair), sign: signer(crypto, pair) };
    } catch {
      return null;
    }
  },
});
