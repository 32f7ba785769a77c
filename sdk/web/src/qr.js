// The QR picture of a code: level M, alphanumeric, quiet zone of 4 (docs/formats/code.md).
import { correction, generate, mode } from 'lean-qr';

export const QUIET_ZONE = 4;
/** Our codes are of the alphanumeric alphabet, by design. */
const OPTIONS = { modes: [mode.alphaNumeric], minCorrectionLevel: correction.M, maxCorrectionLevel: correction.M };

/** `{size, runs}`: modules a side with quiet zone, and the dark ones as rows of `[x, y, width]`. */
export const modulesOf = (text) => {
  const symbol = generate(text, OPTIONS);
  const runs = [];
  for (let y = 0; y < symbol.size; y += 1) {
    for (let x = 0; x < symbol.size; x += 1) {
      let width = 0;
      while (symbol.get(x + width, y)) width += 1;
      if (width) runs.push([x + QUIET_ZONE, y + QUIET_ZONE, width]);
      x += width;
    }
  }
  return { size: symbol.size + 2 * QUIET_ZONE, runs };
};

/** `{size, path}`: the same for an SVG. */
export const qr = (text) => {
  const { size, runs } = modulesOf(text);
  return { size, path: runs.map(([x, y, width]) => `M${x} ${y}h${width}v1h-${width}z`).join('') };
};
