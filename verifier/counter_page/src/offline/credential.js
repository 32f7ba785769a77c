// The compact credential in a code: a CWT of these two headers and seven claims. `docs/formats/credential.md`.
import { Refused } from './refused.js';
import { concat, equal, fromHex, toHex } from './bytes.js';
import { Taker, labelOne } from './cbor.js';
import { signingInput, splitSign1 } from './cose.js';
import { ES256, SM2 } from './keys.js';

const BAD = 'bad_cwt';
const LIMIT = 1024;
const MAX_TIME = 100_000_000_000;
const MAX_REGION = 999_999;
const TEST_CARD = 16;
export const ASSURANCES = ['declared', 'read', 'challenge', 'signature'];
const HOLDER_PROOFS = [null, 'chip', 'pin', 'identity'];
const PROTECTED = { [ES256]: fromHex('a201280444'), [SM2]: fromHex('a2013a000100000444') };
const ALGORITHMS = [-9, -65537];

const algorithmOf = (headers) => {
  const start = headers.subarray(0, Math.max(0, headers.length - 4));
  const found = [ES256, SM2].find((algorithm) => equal(PROTECTED[algorithm], start));
  if (found !== undefined) return found;
  throw new Refused(ALGORITHMS.includes(labelOne(headers, BAD)) ? BAD : 'algorithm_not_allowed');
};

/** What a credential says, nothing of it verified. `deviceKey` is a 33-byte point. Refuses `bad_cwt`, `algorithm_not_allowed`. */
export const readCredential = (bytes) => {
  const parts = splitSign1(bytes, LIMIT, BAD);
  const algorithm = algorithmOf(parts.protected);
  const taker = new Taker(parts.payload, BAD);
  taker.expect(0xa7, 0x04);
  const expiresAt = taker.uint();
  taker.expect(0x06);
  const issuedAt = taker.uint();
  taker.expect(0x07, 0x50);
  const credentialId = taker.raw(16);
  taker.expect(0x08, 0xa1, 0x01, 0xa4, 0x01, 0x02, 0x20); // cnf: {1: {1: 2, -1: curve, -2: x, -3: sign of y}}
  const p256 = taker.byte() === 0x01;
  if (!p256) {
    taker.at -= 1;
    taker.expect(0x3a, 0x00, 0x01, 0x00, 0x00);
  }
  taker.expect(0x21, 0x58, 0x20);
  const x = taker.raw(32);
  taker.expect(0x22);
  const sign = taker.byte();
  if (sign !== 0xf4 && sign !== 0xf5) taker.refuse();
  taker.expect(0x3a, 0x00, 0x01, 0x11, 0x70, 0x82);
  const [statusList, statusIndex] = [taker.uint(4), taker.uint(4)];
  taker.expect(0x3a, 0x00, 0x01, 0x11, 0x71);
  const proof = taker.uint(1);
  taker.expect(0x3a, 0x00, 0x01, 0x11, 0x72);
  const region = taker.uint(4);
  taker.end();
  if (proof > 31 || region > MAX_REGION || !(issuedAt < expiresAt && expiresAt <= MAX_TIME)) taker.refuse();
  return {
    kid: toHex(parts.protected.subarray(-4)),
    algorithm,
    issuedAt,
    expiresAt,
    credentialId,
    deviceKey: concat([sign === 0xf5 ? 3 : 2], x),
    deviceAlgorithm: p256 ? ES256 : SM2,
    statusList,
    statusIndex,
    assurance: proof & 3,
    holderProof: HOLDER_PROOFS[(proof >> 2) & 3],
    testCard: proof >= TEST_CARD,
    region: String(region).padStart(6, '0'),
    signature: parts.signature,
    signingInput: signingInput(parts, 'ecard-cred-1'),
  };
};
