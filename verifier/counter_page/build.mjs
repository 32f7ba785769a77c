// Builds the page: `npm run build [-- folder]`. The verifier serves it from its own package, hashed names and all.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = process.argv[2] ?? here('../ecard_verifier/web/built');
const made = new Map(); // name under /counter/ → bytes

const json = async (path) => JSON.parse(await readFile(here(path), 'utf8'));
const hashOf = (bytes) => createHash('sha256').update(bytes).digest('hex').slice(0, 12);

/** Adds a file under a name that changes with its content; returns its address. */
const add = (name, bytes) => {
  const [stem, ending] = [name.slice(0, name.lastIndexOf('.')), name.slice(name.lastIndexOf('.'))];
  const hashed = `${stem}.${hashOf(bytes)}${ending}`;
  made.set(hashed, Buffer.from(bytes));
  return `/counter/${hashed}`;
};

const bundle = async (entry, define = {}, more = {}) => {
  const common = { bundle: true, minify: true, format: 'esm', legalComments: 'none', charset: 'utf8', target: 'es2022', logLevel: 'warning', external: ['/counter/*'] };
  const { outputFiles } = await build({ ...common, entryPoints: [here(entry)], write: false, outdir: '/', define, ...more });
  return outputFiles[0].contents;
};

/** The texts of the reasons that this page explains, from the one catalogue. */
const reasons = async () => {
  const [steps, catalogue] = await Promise.all([json('src/reasons.json'), json('../../card/ecard_card/messages.json')]);
  return Object.fromEntries(
    Object.entries(steps).map(([code, step]) => {
      if (!catalogue[code]) throw new Error(`no text for the reason ${code}`);
      return [code, { ...catalogue[code], step }];
    }),
  );
};

const wasmFile = createRequire(import.meta.resolve('barcode-detector')).resolve('zxing-wasm/reader/zxing_reader.wasm');
const wasm = add('zxing_reader.wasm', await readFile(wasmFile));
const plain = add('decode_plain.js', await bundle('src/reading/decode_plain.js'));
const worker = add(
  'decode.js',
  await bundle('src/reading/decode_worker.js', { __WASM__: JSON.stringify(wasm), __PLAIN__: JSON.stringify(plain) }),
);
const script = add('page.js', await bundle('src/main.js', { __WORKER__: JSON.stringify(worker), __REASONS__: JSON.stringify(await reasons()) }));
const style = add('page.css', await bundle('src/page.css'));
const [icon, small, large] = await Promise.all(
  ['icon.svg', 'icon-192.png', 'icon-512.png'].map(async (name) => add(name, await readFile(here(`src/icons/${name}`)))),
);
const manifest = add(
  'manifest.webmanifest',
  Buffer.from(
    JSON.stringify({
      name: '电子社保卡扫码核验',
      short_name: '扫码核验',
      lang: 'zh-CN',
      start_url: '/counter',
      scope: '/counter',
      display: 'standalone',
      background_color: '#f4f6f8',
      theme_color: '#0b4f9e',
      icons: [
        { src: icon, sizes: 'any', type: 'image/svg+xml' },
        { src: small, sizes: '192x192', type: 'image/png' },
        { src: large, sizes: '512x512', type: 'image/png' },
      ],
    }),
  ),
);
const template = await readFile(here('src/index.html'), 'utf8');
const named = { MANIFEST: manifest, ICON: icon, TOUCH: small, STYLE: style, SCRIPT: script };
const page = template.replace(/%([A-Z]+)%/g, (_, name) => named[name]);
made.set('index.html', Buffer.from(page));

if (existsSync(here('src/offline/worker.js'))) {
  const assets = ['/counter', ...[...made.keys()].filter((name) => name !== 'index.html').map((name) => `/counter/${name}`)];
  const version = hashOf(Buffer.concat([...made.values()]));
  const define = { __ASSETS__: JSON.stringify(assets), __VERSION__: JSON.stringify(version) };
  made.set('sw.js', Buffer.from(await bundle('src/offline/worker.js', define, { format: 'iife' })));
}

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
for (const [name, bytes] of made) {
  await writeFile(`${folder}/${name}`, bytes);
  await writeFile(`${folder}/${name}.gz`, gzipSync(bytes, { level: 9 }));
}
