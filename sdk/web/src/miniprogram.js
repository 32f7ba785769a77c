// What the mini-program component is built from: the core without WebCrypto, the picture, the texts.
export { Card } from './core/card.js';
export { QUIET, code128 } from './core/code128.js';
export { PERIOD } from './core/codes.js';
export { QUIET_ZONE, modulesOf } from './qr.js';
export { groups, languageOf, statusOf, words } from './words.js';
export { miniPlatform } from './mini_platform.js';
