// Texts in two languages: the page's own from `texts.json`, those of reasons from the service's catalogue at build time.
import texts from './texts.json';

const REASONS = __REASONS__; // {code: {en, zh, step}}

let language = 'zh';

export const speak = (chosen) => {
  language = chosen;
  document.documentElement.lang = chosen === 'zh' ? 'zh-CN' : 'en';
  show(document);
};

export const spoken = () => language;

/** The text of `key` with `{name}` filled in. */
export const words = (key, values = {}) => {
  const row = texts[key];
  if (!row) throw new Error(`no text ${key}`);
  return row[language].replace(/\{(\w+)\}/g, (_, name) => values[name]);
};

export const has = (key) => key in texts;

/** Fills every element below `root` that names its text: `data-text`, and `data-label` for what is only read out. */
export const show = (root) => {
  for (const element of root.querySelectorAll('[data-text]')) element.textContent = words(element.dataset.text);
  for (const element of root.querySelectorAll('[data-label]')) element.setAttribute('aria-label', words(element.dataset.label));
  for (const element of root.querySelectorAll('[data-text-alt]')) element.alt = words(element.dataset.textAlt);
};

/** One sentence for a reason, ours or the service's; of an unknown one the outcome's own. */
export const sentenceOf = (outcome, reason) => {
  if (has(`reason.${reason}`)) return words(`reason.${reason}`);
  return REASONS[reason]?.[language] ?? words(`otherwise.${outcome}`);
};

/** What the clerk does next. */
export const stepOf = (outcome, reason) => {
  const own = texts[`reason.${reason}`]?.step ?? REASONS[reason]?.step;
  return words(own ? `step.${own}` : `step.of.${outcome}`);
};

/** `HH:MM` of a time on this device; with the date when it is not today's. */
export const clockTime = (moment, now = new Date()) => {
  const today = moment.toDateString() === now.toDateString();
  const options = today ? {} : { month: 'numeric', day: 'numeric' };
  return moment.toLocaleString(language === 'zh' ? 'zh-CN' : 'en-GB', { ...options, hour: '2-digit', minute: '2-digit' });
};

/** A span of seconds in the largest unit that fits. */
export const span = (seconds) => {
  const whole = Math.max(0, seconds);
  if (whole < 90) return words('span.seconds', { n: Math.round(whole) });
  if (whole < 5400) return words('span.minutes', { n: Math.round(whole / 60) });
  return whole < 172800 ? words('span.hours', { n: Math.round(whole / 3600) }) : words('span.days', { n: Math.round(whole / 86400) });
};
