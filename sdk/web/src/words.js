// Texts in two languages, from the one catalogue.
import texts from './texts.json';

/** `zh` for Chinese, else `en`, of a language tag. */
export const languageOf = (tag) => (/^zh\b/i.test(tag || '') ? 'zh' : 'en');

/** The text of `key`; of `outer.inner` without a text of its own, that of `outer`. */
export const words = (language, key, values = {}) => {
  const text = (texts[key] || texts[key.split('.')[0]])[language];
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
};

/** What is said below the code in a phase of the card's view. */
export const statusOf = (view) =>
  ({
    ended: `ended.${view.reason}`,
    over: 'over',
    refused: 'refused',
    dead: 'dead',
    live: view.offline ? 'offline' : 'hint',
  })[view.phase] || 'opening';

/** Characters in groups of `size`, for somebody who types them. */
export const groups = (text, size) => text.match(new RegExp(`.{1,${size}}`, 'g')).join(' ');
