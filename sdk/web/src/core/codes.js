// Where codes come from: signed here by the device key, or fetched ahead from the authority.
//
// A code is `{ text, typed, issuedAt, diesAt, nextAt }`, times in seconds: shown until `nextAt`, good until `diesAt`.
// `typed` is the short form of the same code, which counts as the same one: a verifier takes either, and once.
import { fromBase64Url, fromHex } from './bytes.js';
import { NONCE_SIZE, offlineCode, onlineCode } from './frame.js';

/** Seconds that a code is shown, and that a verifier takes it. */
export const PERIOD = 30;
export const LIFE = 60;
const RETRY = 5; // seconds until the authority is asked again for a code while it cannot be reached

/** Seconds since 1970 of a time as the service writes it. */
export const seconds = (time) => Date.parse(time) / 1000;

/** Codes by the device key of a credential; they need no network. */
export const deviceCodes = (device, credential, settings, random) => {
  const whole = fromBase64Url(credential.credential);
  const id = fromHex(credential.credential_id);
  const expires = seconds(credential.expires_at);
  const make = async (now, challenge) => {
    const issuedAt = Math.floor(now);
    if (issuedAt >= expires) return null;
    const nonce = random(NONCE_SIZE);
    const typed = await onlineCode(device.sign, id, issuedAt, nonce, challenge);
    const text =
      settings.form === 'online'
        ? typed
        : await offlineCode(device.sign, whole, issuedAt, nonce, settings.audience, challenge);
    const diesAt = Math.min(issuedAt + LIFE, expires);
    return { text, typed, issuedAt, diesAt, nextAt: issuedAt + PERIOD };
  };
  return {
    made: 'device',
    /** A fresh code of time `now`, in seconds. */
    next: (now) => make(now),
    /** A code that answers the challenge of this digest; good until it dies, and for that alone. */
    async answer(now, digest) {
      const code = await make(now, digest);
      return code && { ...code, nextAt: code.diesAt };
    },
  };
};

/** Codes that the authority made: `fetchMore()` asks for a few that follow each other. Without a network those that
 * came last are shown one after the other, as long as they last. */
export const serverCodes = (fetchMore) => {
  let held = [];
  return {
    made: 'server',
    /** The code for time `now`: a new one, or one that was fetched ahead. Null, or the fault, where there is none. */
    async next(now) {
      let fault = null;
      try {
        held = await fetchMore();
      } catch (failed) {
        fault = failed;
      }
      const code = held.find(({ from, until }) => from <= now + 1 && now < until);
      if (!code) {
        if (fault) throw fault;
        return null;
      }
      const nextAt = fault ? Math.min(code.until, now + RETRY) : Math.min(code.until, code.from + PERIOD);
      return { text: code.text, typed: code.text, issuedAt: code.from, diesAt: code.until, nextAt, fault };
    },
    /** Throws away what was fetched: a capture may have seen it. */
    clear() {
      held = [];
    },
  };
};
