// In place of TextEncoder, which mini-programs do not have. Codes are ASCII.
import { ascii } from './core/bytes.js';

export class AsciiEncoder {
  encode(text) {
    return ascii(text);
  }
}
