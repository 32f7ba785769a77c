// The service worker's place in the page: installed at the first visit, and renewed while nobody is being served.

const LOOK = 60_000; // milliseconds between two looks whether a new version waits
const ASK = 3_600_000; // milliseconds after which the service is asked for one

/** `idle()` says whether the page may load itself anew now. Where there are no service workers the page works online. */
export const install = async (idle, workers = globalThis.navigator?.serviceWorker) => {
  if (!workers) return;
  const renewed = workers.controller !== null; // else the first one takes this page over, and nothing is to be reloaded
  const registration = await workers.register('/counter/sw.js', { scope: '/counter' });
  let reloading = false;
  workers.addEventListener('controllerchange', () => {
    if (!renewed || reloading) return;
    reloading = true;
    location.reload();
  });
  const look = () => renewed && registration.waiting && idle() && registration.waiting.postMessage('take-over');
  registration.addEventListener('updatefound', () => registration.installing?.addEventListener('statechange', look));
  setInterval(look, LOOK);
  setInterval(() => registration.update().catch(() => {}), ASK);
  look();
};
