// What an outcome sounds and feels like. Four of each, made here: no file is loaded.
import { sentenceOf, spoken, words } from '../words.js';

// [frequency in Hz, start in s, length in s] and the wave: up, level twice, down and rough, one long.
const EARCONS = {
  valid: ['sine', [[784, 0, 0.12], [1175, 0.12, 0.22]]],
  check: ['triangle', [[659, 0, 0.13], [659, 0.2, 0.13]]],
  invalid: ['square', [[233, 0, 0.16], [175, 0.18, 0.16], [131, 0.36, 0.3]]],
  undecided: ['sine', [[392, 0, 0.5]]],
};
const VIBRATION = { valid: [80], check: [80, 80, 80], invalid: [250, 100, 250, 100, 250], undecided: [600] };
const LOUD = 0.25;

export class Signals {
  constructor(settings) {
    this._settings = settings;
    this._audio = null;
  }

  /** Call it in a key press or touch: browsers let a page sound only after one. */
  wake() {
    try {
      this._audio ??= new AudioContext();
      if (this._audio.state === 'suspended') this._audio.resume().catch(() => {});
    } catch {
      // no sound on this machine; the screen still says it
    }
  }

  give(outcome, reason) {
    if (this._settings.get('sound')) this.sound(outcome);
    if (this._settings.get('vibration')) this.feel(outcome);
    if (this._settings.get('voice')) this.voice(outcome, reason);
  }

  sound(outcome) {
    this.wake();
    if (!this._audio) return;
    const [type, notes] = EARCONS[outcome];
    const now = this._audio.currentTime;
    for (const [frequency, start, length] of notes) {
      const tone = new OscillatorNode(this._audio, { type, frequency });
      const gain = new GainNode(this._audio, { gain: 0 });
      gain.gain.setValueAtTime(0, now + start);
      gain.gain.linearRampToValueAtTime(type === 'square' ? LOUD / 2 : LOUD, now + start + 0.01);
      gain.gain.linearRampToValueAtTime(0, now + start + length);
      tone.connect(gain).connect(this._audio.destination);
      tone.start(now + start);
      tone.stop(now + start + length);
    }
  }

  feel(outcome) {
    navigator.vibrate?.(VIBRATION[outcome]);
  }

  voice(outcome, reason) {
    if (!('speechSynthesis' in window)) return;
    const text = outcome === 'valid' ? words('say.valid') : `${words(`say.${outcome}`)}。${sentenceOf(outcome, reason)}`;
    const utterance = new SpeechSynthesisUtterance(text);
    utterance.lang = spoken() === 'zh' ? 'zh-CN' : 'en-GB';
    speechSynthesis.cancel();
    speechSynthesis.speak(utterance);
  }

  hush() {
    window.speechSynthesis?.cancel();
  }
}
