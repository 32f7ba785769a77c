// What a clerk does with the card in the reader. The service chooses each challenge and judges each answer; this page
// hands bytes from one to the other and decides nothing.

import { Absent, Refused, ask } from './agent.js';

/** Codes of the reader's side: nothing was said about the card. */
const READERS = /^(reader_|desk_|chip_(removed|mute|refused|answer_truncated|unknown)$)/;

/** Another card is in the reader than the one on the screen. */
class OtherCard extends Error {}

export class Acts {
  #agent;
  #token;
  #language;

  constructor(agent, token, language) {
    this.#agent = agent;
    this.#token = token;
    this.#language = language;
  }

  /** Whether the token is known and a desk's: a question that names nobody. */
  async admitted() {
    try {
      await this.#post('/v1/pins/show', {});
    } catch (error) {
      if (error instanceof Refused) return error.status !== 401 && error.status !== 403;
      throw error;
    }
    return true;
  }

  /** `{outcome, finding, status, proven_now, …}`. */
  async check(card) {
    const { id, evidence } = await this.#proven(card);
    return this.#post(`/v1/enrolments/${id}/check`, evidence);
  }

  /** `{enrolment_id, chip_assurance, …}`, good for an offer or a replacement. */
  async enrol(card) {
    const { id, evidence } = await this.#proven(card);
    return this.#post(`/v1/enrolments/${id}/evidence`, evidence);
  }

  offer(enrolmentId) {
    return this.#post(`/v1/enrolments/${enrolmentId}/offers`, { request_id: crypto.randomUUID() });
  }

  async replace(card, caseId) {
    const { enrolment_id: id } = await this.enrol(card);
    return this.#post(`/v1/replacements/${encodeURIComponent(caseId)}/collected`, { enrolment_id: id });
  }

  /**
   * The registered PIN first, since the service judges the choice; then the one on the chip, where there is one.
   * `{chip: 'changed' | 'wrong' | 'locked' | 'none', tries_left}`; `chip: 'failed'` with `error` where it could not be
   * reached.
   */
  async changePin(card, oldPin, newPin) {
    const code = card.identification_code;
    const body = { identification_code: code, old_pin: oldPin, new_pin: newPin, event_id: crypto.randomUUID() };
    await this.#post('/v1/pins/change', body);
    if (!card.chip_pin) return { chip: 'none' };
    try {
      const done = await this.#agent.changePin(card.reader, code, oldPin, newPin);
      return { chip: done.outcome, tries_left: done.tries_left };
    } catch (error) {
      return { chip: 'failed', error };
    }
  }

  resetPin(card, document, newPin) {
    const body = { identification_code: card.identification_code, document_number: document, new_pin: newPin };
    return this.#post('/v1/pins/reset', { ...body, event_id: crypto.randomUUID() });
  }

  async #proven(card) {
    const terminal = `desk ${card.reader}`.replace(/[^\x20-\x7e]/g, '?').slice(0, 128);
    const { enrolment_id: id, challenge } = await this.#post('/v1/enrolments', { terminal_id: terminal });
    const answered = await this.#agent.prove(card.reader, challenge);
    if (answered.card.identification_code !== card.identification_code) throw new OtherCard();
    return { id, evidence: answered.evidence };
  }

  #post(path, body) {
    return ask(path, { method: 'POST', body, token: this.#token, language: this.#language() });
  }
}

/** What an error means for the clerk: `{outcome, word, title, code}`; `word` is one of the page's own. */
export const failure = (error) => {
  if (error instanceof OtherCard) return { outcome: 'undecided', word: 'other_card', code: 'desk_other_card' };
  if (error instanceof Absent) return { outcome: 'undecided', word: 'offline', code: 'offline' };
  if (!(error instanceof Refused)) throw error;
  const ours = error.status >= 500 || error.status === 429 || error.status === 401 || READERS.test(error.code);
  return { outcome: ours ? 'undecided' : 'invalid', title: error.title, code: error.code };
};
