// The settings dialog: language, display, signals that can be tried, seconds, full screen, who is here.
import { find } from '../dom.js';
import { SECONDS } from '../settings.js';

export class Options {
  /** `usual()` is the number of seconds that the service names. */
  constructor({ settings, signals, usual }) {
    Object.assign(this, { settings, usual });
    find('settings-open').addEventListener('click', () => {
      this.fill();
      find('settings').showModal();
    });
    for (const name of ['language', 'theme']) {
      for (const input of document.querySelectorAll(`input[name=${name}]`)) {
        input.addEventListener('change', () => settings.set(name, input.value));
      }
    }
    for (const name of ['sound', 'voice', 'vibration']) {
      find(`set-${name}`).addEventListener('change', (event) => settings.set(name, event.target.checked));
    }
    for (const button of document.querySelectorAll('[data-try]')) {
      button.addEventListener('click', () => {
        signals.sound(button.dataset.try);
        signals.feel(button.dataset.try);
        signals.voice(button.dataset.try, null);
      });
    }
    find('set-seconds').addEventListener('change', ({ target }) => {
      const wanted = Math.round(Number(target.value));
      settings.set('seconds', Math.min(SECONDS.most, Math.max(SECONDS.least, wanted || usual())));
      this.fill();
    });
    find('fullscreen').hidden = !document.fullscreenEnabled;
    find('fullscreen').addEventListener('click', () => {
      const done = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
      done.catch(() => {});
    });
  }

  fill() {
    for (const name of ['language', 'theme']) {
      for (const input of document.querySelectorAll(`input[name=${name}]`)) input.checked = input.value === this.settings.get(name);
    }
    for (const name of ['sound', 'voice', 'vibration']) find(`set-${name}`).checked = this.settings.get(name);
    find('set-seconds').value = this.settings.get('seconds') ?? this.usual();
  }
}
