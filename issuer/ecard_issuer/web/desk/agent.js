// The desk agent of this machine: pairing, acts and news. It answers pages that its settings allow, and no other.

const KEY = 'ecard-desk-agent';
const RETRY = 2000;

/** A refusal, by the agent or the service: `code`, and `title` for a person. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.code ?? 'internal_fault');
    this.status = status;
    this.code = problem.code ?? 'internal_fault';
    this.title = problem.title ?? '';
  }
}

/** Nobody answers. */
export class Absent extends Error {}

/** `fetch` whose refusals are `Refused` and whose silence is `Absent`. */
export const ask = async (url, { method = 'GET', token = '', body, language } = {}) => {
  const headers = { 'Accept-Language': language };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let answer;
  try {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    answer = await fetch(url, { method, headers, body: sent, cache: 'no-store', credentials: 'omit' });
  } catch {
    throw new Absent();
  }
  const content = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, content);
  return content;
};

/**
 * Keeps a connection to the agent at `port` of this machine for as long as the page lives. `tell` gets
 * `{state: 'absent' | 'unpaired' | 'ready'}` and, when ready, each message of the agent as `{news}`.
 */
export class Agent {
  #place;
  #socket = null;
  #tell;
  #language;

  constructor(port, tell, language) {
    this.#place = `127.0.0.1:${port}`;
    this.#tell = tell;
    this.#language = language;
  }

  async keep() {
    for (;;) {
      try {
        const { paired } = await this.#ask('/version');
        if (paired) await this.#listen();
        else this.#tell({ state: 'unpaired' });
      } catch {
        this.#tell({ state: 'absent' });
      }
      await new Promise((done) => setTimeout(done, RETRY));
    }
  }

  async pair(code) {
    const { token } = await this.#ask('/pairing', { method: 'POST', body: { code } });
    localStorage.setItem(KEY, token);
    this.#listen();
  }

  async unpair() {
    await this.#ask('/pairing', { method: 'DELETE' });
    localStorage.removeItem(KEY);
    this.#socket?.close();
  }

  read(reader) {
    return this.#ask('/card/read', { method: 'POST', body: { reader } });
  }

  prove(reader, challenge) {
    return this.#ask('/card/prove', { method: 'POST', body: { reader, challenge } });
  }

  changePin(reader, identificationCode, oldPin, newPin) {
    const body = { reader, identification_code: identificationCode, old_pin: oldPin, new_pin: newPin };
    return this.#ask('/card/pin', { method: 'POST', body });
  }

  get #token() {
    return localStorage.getItem(KEY) ?? '';
  }

  #ask(path, options = {}) {
    return ask(`http://${this.#place}${path}`, { token: this.#token, language: this.#language(), ...options });
  }

  /** Until the socket ends. A browser lets a page set no header here, so the token goes as a protocol's name. */
  #listen() {
    if (this.#socket) return Promise.resolve();
    return new Promise((ended) => {
      const socket = new WebSocket(`ws://${this.#place}/events`, ['ecard-desk.1', `ecard-token.${this.#token}`]);
      this.#socket = socket;
      socket.onopen = () => this.#tell({ state: 'ready' });
      socket.onmessage = ({ data }) => this.#tell({ news: JSON.parse(data) });
      socket.onclose = () => {
        this.#socket = null;
        this.#tell({ state: 'absent' });
        ended();
      };
    });
  }
}
