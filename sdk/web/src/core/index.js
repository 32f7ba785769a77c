// All that needs no browser: what a mini-program and Node share with the element.
export * from './bytes.js';
export * from './frame.js';
export * from './code128.js';
export * from './codes.js';
export * from './proof.js';
export * from './challenge.js';
export * from './card.js';
