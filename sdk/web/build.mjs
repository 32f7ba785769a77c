// Builds the bundles: `npm run build [-- folder]`. The service serves them from its own package.
import { build } from 'esbuild';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = process.argv[2] ?? here('../../issuer/ecard_issuer/web/built');
const common = { bundle: true, minify: true, legalComments: 'none', charset: 'utf8', target: 'es2020', logLevel: 'warning' };
const element = { ...common, entryPoints: [here('src/index.js')] };

await mkdir(folder, { recursive: true });
await Promise.all([
  build({ ...element, format: 'iife', globalName: 'ecardCode', outfile: `${folder}/ecard-code.js` }),
  build({ ...element, format: 'esm', outfile: `${folder}/ecard-code.mjs` }),
  build({
    ...common,
    entryPoints: [here('src/miniprogram.js')],
    format: 'cjs',
    target: 'es2018',
    inject: [here('src/ascii_encoder.js')],
    define: { TextEncoder: 'AsciiEncoder' },
    outfile: here('miniprogram/ecard-code/core.js'),
  }),
]);
