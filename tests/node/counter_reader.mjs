// What the counter's page reads off pictures, by its own worker file as it is. Pictures come on stdin, each as its width
// and height (two big-endian 32-bit numbers) and its grey pixels; one line of JSON goes out for each: the texts, and what the
// page takes them for. What a browser has beside the worker (pictures, canvases) is stood in for here.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chosen } from '../../verifier/counter_page/src/reading/text.js';

const WORKER = new URL('../../verifier/counter_page/src/reading/decode_worker.js', import.meta.url);
const inside = createRequire(createRequire(WORKER).resolve('barcode-detector'));
const wasm = readFileSync(inside.resolve('zxing-wasm/reader/zxing_reader.wasm'));

let listener;
let answered;
globalThis.self = globalThis;
globalThis.addEventListener = (_, heard) => (listener = heard);
globalThis.postMessage = (answer) => answered(answer);
globalThis.__WASM__ = 'https://counter.example/reader.wasm';
globalThis.__PLAIN__ = 'data:text/javascript,throw new Error("the engine is missing")';
globalThis.fetch = async () => new Response(wasm, { headers: { 'Content-Type': 'application/wasm' } });
globalThis.ImageData = class ImageData {
  constructor(data, width, height) {
    Object.assign(this, { data, width, height, colorSpace: 'srgb' });
  }
};
globalThis.DOMRectReadOnly = class DOMRectReadOnly {
  constructor(x, y, width, height) {
    Object.assign(this, { x, y, width, height });
  }
};
globalThis.createImageBitmap = async (picture) => ({ ...picture, close() {} });

// Draws a grey picture at another size: the mean of what falls into each pixel.
const scaled = ({ width, height, grey }, to, rows) => {
  const data = new Uint8ClampedArray(4 * to * rows);
  for (let y = 0; y < rows; y += 1) {
    const [top, bottom] = [Math.floor((y * height) / rows), Math.max(Math.floor((y * height) / rows) + 1, Math.floor(((y + 1) * height) / rows))];
    for (let x = 0; x < to; x += 1) {
      const [left, right] = [Math.floor((x * width) / to), Math.max(Math.floor((x * width) / to) + 1, Math.floor(((x + 1) * width) / to))];
      let sum = 0;
      for (let row = top; row < bottom; row += 1) for (let at = left; at < right; at += 1) sum += grey[row * width + at];
      data.fill(sum / ((bottom - top) * (right - left)), 4 * (y * to + x), 4 * (y * to + x) + 3);
      data[4 * (y * to + x) + 3] = 255;
    }
  }
  return data;
};

globalThis.OffscreenCanvas = class {
  getContext() {
    let drawn;
    return {
      fillRect() {},
      drawImage(bitmap, x, y, width, height) {
        drawn = new ImageData(scaled(bitmap, width, height), width, height);
      },
      getImageData: () => drawn,
    };
  }
};

const ask = (question) =>
  new Promise((resolve) => {
    answered = resolve;
    listener({ data: question });
  });

await import(WORKER.href);
const warm = await ask({ id: 0, warm: true });
if (!warm.engine) throw new Error('no engine');

const waiting = [];
for await (const piece of process.stdin) waiting.push(piece);
const input = Buffer.concat(waiting);
for (let at = 0; at < input.length; ) {
  const [width, height] = [input.readUInt32BE(at), input.readUInt32BE(at + 4)];
  const grey = input.subarray(at + 8, at + 8 + width * height);
  at += 8 + width * height;
  const { texts, reason } = await ask({ id: at, file: { width, height, grey } });
  console.log(JSON.stringify({ texts: texts ?? [], reason, taken: texts ? chosen(texts) : null }));
}
