// The service worker: the page opens without a network after one visit. It keeps the page's own built files, all of one
// version, and nothing that the service says: no answer, nothing of a person is ever in its cache.

const PREFIX = 'ecard-counter-';
const NAME = PREFIX + __VERSION__;
const PAGE = '/counter';

self.addEventListener('install', (event) => {
  const files = async () => {
    const cache = await caches.open(NAME);
    await cache.addAll(__ASSETS__.map((address) => new Request(address, { cache: 'no-cache', credentials: 'same-origin' })));
  };
  event.waitUntil(files());
});

self.addEventListener('activate', (event) => {
  const clean = async () => {
    const before = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== NAME);
    // The version before stays for tabs that still show it: its files have other names, so none are mixed up.
    await Promise.all(before.slice(0, -1).map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(clean());
});

/** The page asks for it when nobody is being served: then it loads itself anew, all of the new version. */
self.addEventListener('message', ({ data }) => data === 'take-over' && self.skipWaiting());

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== self.location.origin) return;
  if (pathname !== PAGE && !pathname.startsWith(`${PAGE}/`)) return; // what the service says goes by
  event.respondWith(answered(request, pathname));
});

/** The page as this version has it; a file has its content in its name, whichever version kept it. */
const answered = async (request, pathname) => {
  const from = pathname === PAGE ? { cacheName: NAME } : {};
  return (await caches.match(pathname, { ...from, ignoreVary: true })) ?? fetch(request);
};
