// What a page loads: the element is defined, and the parts of it are there for whoever builds their own.
import { EcardCode } from './element.js';

export { EcardCode };
export { Card } from './core/card.js';
export { code128 } from './core/code128.js';
export { qr } from './qr.js';

if (!customElements.get('ecard-code')) customElements.define('ecard-code', EcardCode);
