// The service's routes. Every failure becomes a `Failed` with a code; nothing that a browser can throw gets past here.

const LIMIT = 4000; // milliseconds for an answer

/** `code` is that of the problem document, or one of `no_network`, `slow_network`, `answer_unknown`. */
export class Failed extends Error {
  constructor(code, status = 0) {
    super(code);
    Object.assign(this, { code, status });
  }

  /** Whether the service could not be heard at all. */
  get unheard() {
    return this.status === 0 || this.status === 502 || this.status === 504;
  }
}

export class Api {
  /** `ask` is `fetch`; `gone(code)` is told when this counter is not admitted any more. */
  constructor({ ask = (...all) => fetch(...all), gone = () => {}, heard = () => {}, limit = LIMIT } = {}) {
    Object.assign(this, { _ask: ask, _gone: gone, _heard: heard, _limit: limit });
  }

  admit(code) {
    return this._call('POST', '/v1/counter/session', { admission_code: code }, { open: true });
  }

  session() {
    return this._call('GET', '/v1/counter/session');
  }

  leave() {
    return this._call('DELETE', '/v1/counter/session');
  }

  staff(alias, pin) {
    return this._call('POST', '/v1/counter/staff', { alias, pin });
  }

  staffLeaves() {
    return this._call('DELETE', '/v1/counter/staff');
  }

  challenge(purpose) {
    return this._call('POST', '/v1/counter/challenges', { purpose });
  }

  verify(asked, limit) {
    return this._call('POST', '/v1/counter/verifications', asked, { limit });
  }

  shift() {
    return this._call('GET', '/v1/counter/shift');
  }

  async _call(method, path, body, { open = false, limit = this._limit } = {}) {
    const began = Date.now();
    let answer;
    let content = null;
    try {
      answer = await this._ask(path, {
        method,
        headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: 'same-origin',
        cache: 'no-store',
        redirect: 'error',
        signal: AbortSignal.timeout(limit),
      });
      if (answer.status !== 204) content = await answer.json().catch(() => null);
    } catch (error) {
      const failed = new Failed(error.name === 'TimeoutError' ? 'slow_network' : 'no_network');
      this._heard(false);
      throw failed;
    }
    if (answer.ok) {
      if (answer.status !== 204 && (content === null || typeof content !== 'object')) throw new Failed('answer_unknown', answer.status);
      this._heard(true, { began, ended: Date.now(), date: content?.now });
      return content;
    }
    const code = typeof content?.code === 'string' ? content.code : 'answer_unknown';
    const failed = new Failed(code, answer.status);
    this._heard(!failed.unheard);
    if (answer.status === 401 && !open) this._gone(code);
    throw failed;
  }
}
