// What the counter page's offline half answers, for tests in Python to compare: a JSON list of requests on stdin, the
// answers on stdout. Where a module refuses, the answer is `{"refused": code}`.
import { readFileSync } from 'node:fs';
import { webcrypto } from 'node:crypto';
import * as bytes from '../../verifier/counter_page/src/offline/bytes.js';
import { openBundle } from '../../verifier/counter_page/src/offline/bundle.js';
import { check, POLICY } from '../../verifier/counter_page/src/offline/check.js';
import { labelOne } from '../../verifier/counter_page/src/offline/cbor.js';
import { readCode } from '../../verifier/counter_page/src/offline/code.js';
import { readCredential } from '../../verifier/counter_page/src/offline/credential.js';
import { inflate } from '../../verifier/counter_page/src/offline/inflate.js';
import { isNumber } from '../../verifier/counter_page/src/offline/code.js';
import { signingInput, splitSign1 } from '../../verifier/counter_page/src/offline/cose.js';
import { canonicalJson, parseJson } from '../../verifier/counter_page/src/offline/json.js';
import { keyId, loadP256, parseJwk, verifyP256 } from '../../verifier/counter_page/src/offline/keys.js';
import { verifyMlDsa65 } from '../../verifier/counter_page/src/offline/ml_dsa.js';
import { Refused } from '../../verifier/counter_page/src/offline/refused.js';
import { shake128, shake256 } from '../../verifier/counter_page/src/offline/shake.js';
import { parseCompact } from '../../verifier/counter_page/src/offline/jws.js';
import { deltaClaims, unpack } from '../../verifier/counter_page/src/offline/status_delta.js';
import { acceptStatusToken, entryOf } from '../../verifier/counter_page/src/offline/status_list.js';
import { listUri, numberIn, overlapping } from '../../verifier/counter_page/src/offline/status_uri.js';
import { Trust, readList, refusalOf } from '../../verifier/counter_page/src/offline/trust_list.js';
import { openRoot, readRoot } from '../../verifier/counter_page/src/offline/trust_root.js';

const { subtle } = webcrypto;
const { fromHex, toHex } = bytes;
const bundles = new Map();

const base64 = (text) => new Uint8Array(Buffer.from(text, 'base64'));
const plain = (value) => value && { ...value, replayKey: value.replayKey && toHex(value.replayKey) };

const answers = {
  base45: ({ text }) => bytes.fromBase45(text) && toHex(bytes.fromBase45(text)),
  base64url: ({ text }) => toHex(bytes.fromBase64Url(text)),
  json: ({ data, limits }) => toHex(canonicalJson(parseJson(base64(data), limits))),
  shake: ({ bits, data, length }) => toHex((bits === 128 ? shake128 : shake256)(fromHex(data))(length)),
  mlDsa: ({ key, message, signature }) => verifyMlDsa65(fromHex(key), fromHex(message), fromHex(signature)),
  jwk: ({ jwk }) => toHex(parseJwk(jwk).public),
  isNumber: ({ text }) => isNumber(text),
  kid: ({ jwk }) => keyId(subtle, jwk),
  label: ({ data }) => void labelOne(fromHex(data), 'bad_cbor'),
  sign1: ({ data }) => toHex(splitSign1(fromHex(data), 4096, 'bad_cose').protected),
  sigStructure: ({ headers, payload, context }) => toHex(signingInput({ protected: fromHex(headers), payload: fromHex(payload) }, context)),
  verify: async ({ key, message, signature }) => verifyP256(subtle, await loadP256(subtle, fromHex(key)), fromHex(message), fromHex(signature)),
  jws: ({ token, typ, limit }) => toHex(parseCompact(token, { typ, limit, bad: 'bad_jws' }).payload),
  credential({ data }) {
    const { credentialId, deviceKey, signature, signingInput: signed, ...rest } = readCredential(fromHex(data));
    return { ...rest, credentialId: toHex(credentialId), deviceKey: toHex(deviceKey), signature: toHex(signature), signed: toHex(signed) };
  },
  code: ({ text }) => {
    const { issuedAt, audience, nonce, credential, challenge } = readCode(text);
    return { issuedAt, audience, nonce: toHex(nonce), credential: toHex(credential), challenge: challenge && toHex(challenge) };
  },
  async list({ data, limit, bits, indexes }) {
    const packed = await inflate(fromHex(data), limit);
    const digest = toHex(new Uint8Array(await subtle.digest('SHA-256', packed)));
    return { length: packed.length, digest, values: indexes.map((index) => entryOf({ packed, bits }, index)) };
  },
  changes: ({ data }) => unpack(fromHex(data)),
  delta: ({ data }) => deltaClaims(base64(data)).changes,
  numberIn: ({ uri, template }) => numberIn(uri, template),
  listUri: ({ template, list }) => listUri(template, list),
  overlapping: ({ templates }) => [...overlapping(templates)].sort((one, other) => one - other),
  // What of a signed payload is understood: who may sign what, and when.
  async trust({ data, times, kids }) {
    const list = await readList(subtle, base64(data));
    const trust = await Trust.of(subtle, list);
    const keys = kids.flatMap((kid) => ['credential', 'status', 'event'].flatMap((purpose) => trust.candidates(kid, purpose)));
    const said = keys.map((key) => [key.kid, key.purpose, key.state, toHex(key.point), key.issuer.issuer, ...times.map((time) => refusalOf(key, time))]);
    return { version: list.version, issuers: list.issuers.map(({ issuer, regions }) => [issuer, regions]), keys: said };
  },
  async root({ data, next }) {
    const root = await readRoot(subtle, parseJson(base64(data)));
    return next ? (await openRoot(subtle, base64(next), root)).digest : root.digest;
  },
  async open({ name, data, now, root, deltas = [], denied = [] }) {
    const pinned = root ? parseJson(base64(root)) : null;
    const opened = await openBundle(subtle, base64(data), now, pinned, new Map(denied));
    for (const delta of deltas) await opened.statuses.apply(delta, now);
    if (name) bundles.set(name, opened);
    return { madeAt: opened.madeAt, until: opened.statuses.until, places: [...opened.statuses.places()] };
  },
  apply: async ({ bundle, delta, now }) => (await bundles.get(bundle).statuses.apply(delta, now)).number,
  token: async ({ bundle, token, now }) => (await acceptStatusToken(subtle, token, bundles.get(bundle).trust, now)).uri,
  read: ({ bundle, uri, index }) => bundles.get(bundle).statuses.read(uri, index),
  async check({ bundle, text, now, policy, audience }) {
    const { trust, statuses } = bundle ? bundles.get(bundle) : { trust: null, statuses: null };
    return plain(await check(subtle, text, { trust, statuses, now, policy: { ...POLICY, ...policy }, audience }));
  },
};

const given = JSON.parse(readFileSync(0, 'utf8'));
const out = [];
for (const { kind, ...request } of given) {
  try {
    out.push((await answers[kind](request)) ?? null);
  } catch (fault) {
    if (!(fault instanceof Refused)) throw fault;
    out.push({ refused: fault.code });
  }
}
process.stdout.write(JSON.stringify(out), () => process.exit());
