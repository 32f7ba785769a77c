// What the component's core answers, for tests in Python to compare: one JSON request on stdin, one answer on stdout.
import { readFileSync } from 'node:fs';
import { webcrypto } from 'node:crypto';
import * as core from '../../sdk/web/src/core/index.js';
import * as deviceKey from '../../sdk/web/src/core/device_key.js';

const { fromHex } = core;
const hex = (bytes) => Buffer.from(bytes).toString('hex');

const answers = {
  base45: ({ bytes }) => core.toBase45(fromHex(bytes)),
  base32: ({ bytes }) => core.toBase32(fromHex(bytes)),
  base64url: ({ bytes }) => [core.toBase64Url(fromHex(bytes)), hex(core.fromBase64Url(core.toBase64Url(fromHex(bytes))))],
  bars: ({ digits }) => core.code128(digits),
  crc16: ({ bytes }) => hex(core.crc16(fromHex(bytes))),
  lowS: ({ signature }) => hex(deviceKey.lowS(fromHex(signature))),
  // Codes with a signature that the test chose: what was signed, and the text.
  async layout({ credential, credentialId, issuedAt, nonce, audience, challenge, signature }) {
    const signed = [];
    const sign = async (bytes) => (signed.push(hex(bytes)), fromHex(signature));
    const digest = challenge && fromHex(challenge);
    const texts = [
      await core.offlineCode(sign, fromHex(credential), issuedAt, fromHex(nonce), audience, digest),
      await core.onlineCode(sign, fromHex(credentialId), issuedAt, fromHex(nonce), digest),
    ];
    return { signed, texts };
  },
  // What a counter showed: its members and digest, or the code of the refusal.
  async challenge({ text }) {
    const sha256 = async (bytes) => new Uint8Array(await webcrypto.subtle.digest('SHA-256', bytes));
    try {
      const { frame, nonce, ...read } = core.readChallenge(text);
      return { ...read, nonce: hex(nonce), frame: hex(frame), digest: hex(await core.digestOf(sha256, { frame })) };
    } catch (error) {
      return { refused: error.code ?? String(error) };
    }
  },
  // Codes and proofs by a key of WebCrypto.
  async signed({ credential, credentialId, issuedAt, nonce, issuer, challenge, count }) {
    const pair = await deviceKey.generate(webcrypto);
    const sign = deviceKey.signer(webcrypto, pair);
    const made = [];
    for (let at = 0; at < count; at += 1) {
      made.push(await core.onlineCode(sign, fromHex(credentialId), issuedAt + at, fromHex(nonce)));
      made.push(await core.offlineCode(sign, fromHex(credential), issuedAt + at, fromHex(nonce)));
    }
    const exported = await webcrypto.subtle.exportKey('pkcs8', pair.privateKey).catch((error) => error.name);
    const jwk = await deviceKey.publicJwk(webcrypto, pair);
    return { made, jwk, exported: String(exported), proof: await core.deviceProof(sign, issuer, challenge, issuedAt) };
  },
};

const asked = JSON.parse(readFileSync(0, 'utf8'));
const out = [];
for (const { call, ...rest } of asked) out.push(await answers[call](rest));
process.stdout.write(JSON.stringify(out));
