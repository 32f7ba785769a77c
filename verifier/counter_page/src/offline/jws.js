// A compact JWS (RFC 7515 §7.1) as read, before anything of it is believed.
import { Refused } from './refused.js';
import { fromBase64Url, utf8 } from './bytes.js';
import { isObject, parseJson } from './json.js';

const HEADER = ['alg', 'typ', 'kid', 'x5c'];

const headerOf = (text) => {
  const header = parseJson(fromBase64Url(text), { limit: 16384, depth: 3 });
  if (!isObject(header) || Object.keys(header).some((name) => !HEADER.includes(name))) throw new Refused('bad_jws');
  if ('kid' in header && (typeof header.kid !== 'string' || [...header.kid].length > 256)) throw new Refused('bad_jws');
  if ('x5c' in header) {
    const chain = header.x5c;
    const good = Array.isArray(chain) && chain.length >= 1 && chain.length <= 8 && chain.every((one) => typeof one === 'string');
    if (!good) throw new Refused('bad_jws');
  }
  return header;
};

const orBad = (code, work) => {
  try {
    return work();
  } catch (fault) {
    if (fault instanceof Refused) throw new Refused(code);
    throw fault;
  }
};

/**
 * `{header, kid, algorithm, payload, signature, signingInput}`; the payload stays bytes until the signature holds.
 * Refuses `bad` (form or encoding, no `kid`), `algorithm_not_allowed`, `wrong_type`.
 */
export const parseCompact = (token, { typ, limit, bad, bare = false }) => {
  const parts = typeof token === 'string' && token.length <= limit ? token.split('.') : [];
  if (parts.length !== 3) throw new Refused(bad);
  const [head, body, tail] = parts;
  const header = orBad(bad, () => headerOf(head));
  if (header.alg !== 'ES256' && header.alg !== 'SM2') throw new Refused('algorithm_not_allowed');
  if (header.typ !== typ) throw new Refused('wrong_type');
  const [payload, signature] = orBad(bad, () => [fromBase64Url(body), fromBase64Url(tail)]);
  if (signature.length !== 64 || !header.kid || (bare && Object.keys(header).length !== 3)) throw new Refused(bad);
  return { kid: header.kid, algorithm: header.alg, payload, signature, signingInput: utf8(`${head}.${body}`) };
};
