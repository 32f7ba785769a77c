// What this browser remembers of how the page is wanted. Nothing of it is about a person.

const KEY = 'ecard-counter.settings';
const CHOICES = {
  language: ['zh', 'en'],
  theme: ['normal', 'dark', 'contrast', 'elder'],
};
export const THEMES = CHOICES.theme;
export const SECONDS = { least: 3, most: 120 };

const defaults = () => ({
  language: /^zh\b/i.test(navigator.language) ? 'zh' : 'en',
  theme: matchMedia('(prefers-contrast: more)').matches
    ? 'contrast'
    : matchMedia('(prefers-color-scheme: dark)').matches
      ? 'dark'
      : 'normal',
  sound: true,
  voice: true,
  vibration: true,
  seconds: null, // as the server says
  camera: false,
  device: null,
  purpose: null,
});

const usable = (name, value) => {
  if (CHOICES[name]) return CHOICES[name].includes(value);
  if (name === 'seconds') return value === null || (value >= SECONDS.least && value <= SECONDS.most);
  if (name === 'device' || name === 'purpose') return value === null || typeof value === 'string';
  return typeof value === 'boolean';
};

/** The settings, and `set(name, value)`, which remembers and tells `listeners`. */
export class Settings {
  constructor(storage = localStorage, query = new URLSearchParams(location.search)) {
    this._storage = storage;
    this.listeners = [];
    this.values = defaults();
    let kept = {};
    try {
      kept = JSON.parse(storage.getItem(KEY)) ?? {};
    } catch {
      // what cannot be read is not there
    }
    for (const name of Object.keys(this.values)) if (name in kept && usable(name, kept[name])) this.values[name] = kept[name];
    for (const [name, asked] of [['language', query.get('lang')], ['theme', query.get('theme')]]) {
      if (asked && usable(name, asked)) this.set(name, asked);
    }
  }

  get(name) {
    return this.values[name];
  }

  set(name, value) {
    if (!usable(name, value)) return;
    this.values[name] = value;
    try {
      this._storage.setItem(KEY, JSON.stringify(this.values));
    } catch {
      // a browser that keeps nothing still works
    }
    for (const listener of this.listeners) listener(name, value);
  }
}
