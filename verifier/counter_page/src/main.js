// Puts the page together. Everything that can fail ends on a screen that says so.
import { Api } from './api.js';
import { Challenge } from './challenge.js';
import { Counter } from './counter.js';
import { find } from './dom.js';
import { Integration } from './integrate.js';
import { Judge, local } from './judge.js';
import { openOffline } from './offline/index.js';
import { install } from './offline/install.js';
import { Signals } from './saying/signals.js';
import { Scanning } from './scanning.js';
import { Admission, codeInAddress } from './screens/admission.js';
import { Options } from './screens/options.js';
import { OutcomeScreen } from './screens/outcome.js';
import { ShiftScreen } from './screens/shift.js';
import { Strip } from './screens/strip.js';
import { Settings } from './settings.js';
import { ShiftLog } from './shift_log.js';
import { speak } from './words.js';

const start = (offline) => {
  const code = codeInAddress();
  const settings = new Settings();
  const signals = new Signals(settings);
  const log = new ShiftLog();
  const strip = new Strip();
  let counter = null;
  const api = new Api({ gone: (reason) => counter.gone(reason), heard: (...all) => counter.heard(...all) });
  const challenge = new Challenge({ ask: (purpose) => api.challenge(purpose), offset: () => strip.offset ?? 0 });
  const judge = new Judge({ api, offline, purpose: () => counter.purpose(), challenge: () => challenge.id });
  const outcome = new OutcomeScreen({
    seconds: () => counter.seconds(),
    gone: (result) => counter.left(result),
    again: (result) => counter.again(result),
  });
  const scanning = new Scanning({
    settings,
    read: (...all) => counter.read(...all),
    said: (...all) => counter.said(...all),
    ready: () => counter.ready(),
    busy: () => counter.busy(),
  });
  const admission = new Admission({
    admit: (given) => counter.admit(given),
    staff: async (alias, pin) => counter.enter(await api.staff(alias, pin)),
  });
  const integration = new Integration();
  counter = new Counter({ api, judge, challenge, settings, signals, strip, log, integration, scanning, admission, outcome, offline });
  new ShiftScreen({ api, log, nameOf: (purpose) => counter.nameOf(purpose) });
  new Options({ settings, signals, usual: () => counter.usual() });

  const apply = () => {
    document.documentElement.dataset.theme = settings.get('theme');
    speak(settings.get('language'));
    outcome.renew();
    strip.show();
    if (counter.state) counter._purposes();
  };
  settings.listeners.push((name) => ['theme', 'language'].includes(name) && apply());
  apply();
  for (const gesture of ['pointerdown', 'keydown']) addEventListener(gesture, () => signals.wake(), { capture: true, passive: true });
  keys(outcome);
  for (const button of document.querySelectorAll('[data-close]')) button.addEventListener('click', () => button.closest('dialog').close());
  find('staff-out').addEventListener('click', () => {
    find('settings').close();
    counter.changeStaff();
  });
  find('log-off').addEventListener('click', () => find('log-off-sure').showModal());
  find('log-off-yes').addEventListener('click', () => counter.logOff());
  find('outcome-back').addEventListener('click', () => outcome.leave());
  // Once for each result: a fault in the showing of a fault must not show itself for ever.
  const fault = () => counter.state && outcome.result?.reason !== 'page_fault' && counter._done(local('undecided', 'page_fault'));
  addEventListener('error', (event) => event.error && fault());
  addEventListener('unhandledrejection', fault);
  counter.begin(code);
  return counter;
};

/** Space holds a result, Escape sends it away; a scanner's text never gets here. */
const keys = (outcome) =>
  addEventListener('keydown', (event) => {
    if (!outcome.shown || document.querySelector('dialog[open]') || event.defaultPrevented) return;
    if (event.key === 'Escape') outcome.leave();
    if (event.key === ' ' && !event.target.closest('button, summary, input, select')) {
      event.preventDefault();
      outcome.hold(!outcome.held);
    }
  });

const SLOW = 3000; // milliseconds: a browser that keeps nothing, or takes too long, works with the network alone
const opened = openOffline().catch(() => null);
const counter = start(await Promise.race([opened, new Promise((late) => setTimeout(late, SLOW, null))]));
install(() => counter.resting()).catch(() => {});
