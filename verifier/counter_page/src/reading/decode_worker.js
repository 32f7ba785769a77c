// Finds codes in pictures, beside the page and never in it. It is asked with `{id, bitmap, hard}` or `{id, file, size}`
// and answers `{id, texts}` or `{id, reason}`. The engines are the browser's own, ZXing as WebAssembly, and plain script
// where WebAssembly is off.
import { BarcodeDetector, prepareZXingModule } from 'barcode-detector/ponyfill';

const FORMATS = ['qr_code', 'code_128'];
const FRAME = 1600; // pixels of the longer side: enough for a code, and quick

let engines = null;

const native = async () => {
  const own = self.BarcodeDetector;
  if (!own) return null;
  const known = await own.getSupportedFormats().catch(() => []);
  if (!FORMATS.every((format) => known.includes(format))) return null;
  const detector = new own({ formats: FORMATS });
  return async (pixels) => (await detector.detect(pixels)).map((one) => one.rawValue);
};

const webAssembly = async () => {
  try {
    await prepareZXingModule({ overrides: { locateFile: () => __WASM__ }, fireImmediately: true });
  } catch {
    return null;
  }
  const detector = new BarcodeDetector({ formats: FORMATS });
  return async (pixels) => (await detector.detect(pixels)).map((one) => one.rawValue);
};

const plain = async () => {
  const { decodeQR } = await import(__PLAIN__);
  return async ({ width, height, data }) => {
    try {
      return [decodeQR({ width, height, data }, { timeLimit: 200 })];
    } catch {
      return [];
    }
  };
};

const ready = () => {
  engines ??= (async () => {
    const [own, zxing] = await Promise.all([native(), webAssembly()]);
    return { own, sure: zxing ?? (await plain()) };
  })();
  return engines;
};

const pixelsOf = (bitmap, longest) => {
  const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  context.fillStyle = '#fff'; // a code on nothing is a code on white
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
};

const frame = async ({ bitmap, hard }) => {
  const { own, sure } = await ready();
  const pixels = pixelsOf(bitmap, FRAME);
  const found = own ? await own(pixels).catch(() => []) : [];
  return found.length || (own && !hard) ? found : sure(pixels);
};

const picture = async (bitmap) => {
  const { sure } = await ready();
  for (const longest of [FRAME, 800, 3200]) {
    const found = await sure(pixelsOf(bitmap, longest));
    if (found.length) return found;
    if (longest === 3200 || Math.max(bitmap.width, bitmap.height) < 400) break;
  }
  return [];
};

const read = async (asked) => {
  if (!asked.file) return { texts: await frame(asked) };
  let bitmap;
  try {
    bitmap = await createImageBitmap(asked.file);
  } catch {
    return { reason: 'picture_damaged' };
  }
  try {
    return { texts: await picture(bitmap) };
  } finally {
    bitmap.close();
  }
};

self.addEventListener('message', async ({ data }) => {
  let answer;
  try {
    answer = data.warm ? { texts: [], engine: Object.keys(await ready()).length } : await read(data);
  } catch {
    answer = { reason: 'picture_damaged' };
  }
  data.bitmap?.close();
  self.postMessage({ id: data.id, ...answer });
});
