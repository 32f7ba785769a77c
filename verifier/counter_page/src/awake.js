// Keeps the screen on while a counter works; a browser that does not, dims as it always does.

let lock = null;
let wanted = false;

const ask = async () => {
  if (!wanted || document.visibilityState !== 'visible' || lock) return;
  try {
    lock = await navigator.wakeLock?.request('screen');
    lock?.addEventListener('release', () => {
      lock = null;
    });
  } catch {
    lock = null;
  }
};

document.addEventListener('visibilitychange', ask);

export const keepAwake = (on) => {
  wanted = on;
  if (on) ask();
  else lock?.release().catch(() => {});
};
