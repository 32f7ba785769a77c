// A client of the API by @hey-api/openapi-ts: generate-client.mjs <openapi.json> <folder>. What it warns of is a failure.
import { createClient } from '@hey-api/openapi-ts';

const [input, path] = process.argv.slice(2);
const warnings = [];
console.warn = (...said) => warnings.push(said.join(' '));
await createClient({
  input,
  output: { path },
  logs: { level: 'warn', file: false },
  plugins: ['@hey-api/typescript', '@hey-api/sdk', '@hey-api/client-fetch'],
});
if (warnings.length) {
  console.error(warnings.join('\n'));
  process.exitCode = 1;
}
