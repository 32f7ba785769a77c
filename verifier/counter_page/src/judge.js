// From a text that was read to a result that can be shown. A result in every case, and `valid` only where the service or
// the check without a network said so.
import { chosen, classify, isWhole } from './reading/text.js';
import { Failed } from './api.js';

const OUTCOMES = ['valid', 'check', 'invalid', 'undecided'];
const FIRST_TRY = 2500; // milliseconds: a clerk has three seconds
const SECOND_TRY = 2000;
/** Reasons that say that the reading failed, whoever says so: that is nobody's fault but ours. */
const READING = ['code_damaged'];
const MISREAD = ['scanner', 'typed']; // ways in which characters get lost

export const local = (outcome, reason, scan = {}) => ({
  verification_id: null,
  outcome,
  reason,
  shown: {},
  recorded_at: new Date().toISOString(),
  here: true, // said by this page alone
  ...scan,
});

/** A result of the service as one that can be shown; whatever is no such thing is undecided. */
export const understood = (answer, scan) => {
  if (!answer || !OUTCOMES.includes(answer.outcome) || typeof answer.reason !== 'string') return local('undecided', 'answer_unknown', scan);
  if (answer.scan_id !== scan.scan_id) return local('undecided', 'answer_unknown', scan);
  const shown = answer.shown && typeof answer.shown === 'object' ? answer.shown : {};
  const outcome = answer.outcome === 'invalid' && READING.includes(answer.reason) ? 'undecided' : answer.outcome;
  return { ...answer, ...scan, outcome, shown, here: false };
};

export class Judge {
  /** `offline` is null, or what `openOffline` gave. `purpose()` says what the counter does now, `challenge()` what it shows. */
  constructor({ api, offline = null, purpose, challenge = () => null, uuid = () => crypto.randomUUID() }) {
    Object.assign(this, { api, offline, purpose, challenge, uuid });
  }

  /** What to do with texts of one picture, or of a scanner: `{scan}` to be judged, or `{result}` that stands already. */
  read(texts, way, { inputMethod = false } = {}) {
    const found = texts.length === 1 ? classify(texts[0]) : chosen(texts);
    const scan = { scan_id: this.uuid(), way, purpose: this.purpose() };
    if (!found) return { result: local('undecided', 'picture_no_code', scan) };
    if (found.kind === 'two') return { result: local('undecided', 'two_codes', scan) };
    const whole = found.kind === 'number' || (found.kind === 'code' && (!MISREAD.includes(way) || isWhole(found.text)));
    if (!whole && inputMethod) return { result: local('undecided', 'input_method', scan) };
    if (found.kind === 'foreign') return { result: local('invalid', found.reason, scan) };
    if (!whole) return { result: local('undecided', 'code_damaged', scan) };
    const challenge_id = this.challenge();
    return { scan: { ...scan, code: found.text, ...(challenge_id && { challenge_id }) }, inputMethod };
  }

  /** The result of `scan`. Asked again with the same scan it is the same one. */
  async verdict(scan) {
    const { code, scan_id, way, purpose } = scan;
    const about = { scan_id, way, purpose };
    try {
      return understood(await this._asked(scan), about);
    } catch (error) {
      if (!(error instanceof Failed)) return local('undecided', 'page_fault', about);
      if (error.unheard) return this._alone(code, about, error.code);
      return local('undecided', error.code, { ...about, status: error.status });
    }
  }

  async _asked(question) {
    try {
      return await this.api.verify(question, FIRST_TRY);
    } catch (error) {
      if (!(error instanceof Failed) || !error.unheard) throw error;
      if (navigator.onLine === false) throw error;
      return this.api.verify(question, SECOND_TRY);
    }
  }

  async _alone(code, about, reason) {
    if (!this.offline?.state().usable) return local('undecided', reason, about);
    try {
      const answer = await this.offline.check(code, about);
      return { ...understood({ ...answer, scan_id: about.scan_id }, about), offline: true, verification_id: null };
    } catch {
      return local('undecided', reason, about);
    }
  }
}
