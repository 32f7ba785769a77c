// <ecard-code>: shows a holder's e-card as a code that renews itself. What it promises is in sdk/web/README.md.
import { browserPlatform } from './browser.js';
import { Card } from './core/card.js';
import { QUIET, code128 } from './core/code128.js';
import { qr } from './qr.js';
import { styles } from './styles.js';
import { groups, languageOf, statusOf, words } from './words.js';

const TICK = 250; // milliseconds
const SOON = 10; // seconds before a change at which it is said aloud
const CIRCUMFERENCE = 2 * Math.PI * 16;
const SVG = 'http://www.w3.org/2000/svg';
const FRAGMENT = 'ecard-ticket';

/** Where this script came from is where the authority is, unless the page says otherwise. */
const HOME = document.currentScript && document.currentScript.src ? new URL(document.currentScript.src).origin : '';

const markup = `
<section class="card" part="card">
  <p class="test" part="test" hidden></p>
  <div class="body">
    <h2 part="title"></h2>
    <div class="panel" part="panel" hidden>
      <div class="bars" part="bars" role="img" hidden></div>
      <div class="code" part="code" role="img"></div>
    </div>
    <div class="time" part="time" hidden aria-hidden="true">
      <svg class="ring" part="ring" viewBox="0 0 40 40"><circle cx="20" cy="20" r="16"></circle>
        <circle class="left" cx="20" cy="20" r="16"></circle></svg>
      <span class="seconds" part="seconds"></span>
    </div>
    <p class="status hint" part="status"></p>
    <div class="asked" part="asked" role="alertdialog" aria-modal="false" hidden>
      <h3 part="asked-title"></h3><dl part="asked-facts"></dl>
      <div class="choice"><button type="button" part="agree"></button><button type="button" part="decline"></button></div>
    </div>
    <button type="button" part="refresh" hidden></button>
    <details part="typed" hidden><summary part="typed-summary"></summary>
      <div class="typed"><p></p><div part="typed-code"></div></div></details>
  </div>
  <p class="unseen" role="status" aria-live="polite"></p>
</section>`;

const drawing = (width, height, path, preserve) => {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('shape-rendering', 'crispEdges');
  svg.setAttribute('aria-hidden', 'true');
  if (preserve) svg.setAttribute('preserveAspectRatio', preserve);
  const dark = svg.appendChild(document.createElementNS(SVG, 'path'));
  dark.setAttribute('fill', '#000');
  dark.setAttribute('d', path);
  return svg;
};

export class EcardCode extends HTMLElement {
  static get observedAttributes() {
    return ['lang', 'theme'];
  }

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    root.innerHTML = markup;
    try {
      const sheet = new CSSStyleSheet(); // a page's policy may forbid style elements, and does not forbid this
      sheet.replaceSync(styles);
      root.adoptedStyleSheets = [sheet];
    } catch {
      root.append(Object.assign(document.createElement('style'), { textContent: styles }));
    }
    this._part = (name) => root.querySelector(`[part="${name}"]`);
    this._live = root.querySelector('[role="status"]');
    this._part('refresh').addEventListener('click', () => this.refresh());
    this._part('agree').addEventListener('click', () => this._card && this._card.agree());
    this._part('decline').addEventListener('click', () => this._card && this._card.decline());
    this.addEventListener('ecard:capture', () => this.captured());
    this._seen = () => this._looked();
    this._net = ({ type }) => this._card && this._card.networked(type === 'online');
    this._draw = () => this._resize();
  }

  /** Whether codes come from a key of this browser: device or server; empty before a session. */
  get made() {
    return this._card ? this._card.view.made : '';
  }

  /** empty, opening, live, dead, ended, over or refused. */
  get phase() {
    return this._card ? this._card.view.phase : 'empty';
  }

  /** A one-time ticket that the channel's back end fetched: opens the card, or keeps it open. Cannot be read back. */
  set ticket(value) {
    if (this.isConnected) this._open(String(value));
    else this._waiting = String(value);
  }

  /** A new code now. */
  refresh() {
    return this._card ? this._card.refresh() : Promise.resolve();
  }

  /** The text of a counter's code (`ECQ:…`) that the host's scanner read. The holder is shown what is asked, and agrees
   * here; then the code on show answers it. Throws an error with a `code` where nothing can be answered. */
  answer(text) {
    if (!this._card) throw Object.assign(new Error('not_live'), { code: 'not_live' });
    this._card.ask(String(text));
  }

  /** The host saw that the screen was captured. */
  captured() {
    if (!this._card || this.phase !== 'live') return Promise.resolve();
    this._captured = true;
    return this._card.captured();
  }

  connectedCallback() {
    this._timer = setInterval(() => this._tick(), TICK);
    document.addEventListener('visibilitychange', this._seen);
    addEventListener('resize', this._draw);
    addEventListener('online', this._net);
    addEventListener('offline', this._net);
    this._relabel();
    const fragment = new URLSearchParams(location.hash.slice(1));
    const given = this._waiting || (this.hasAttribute('from-fragment') && fragment.get(FRAGMENT));
    this._waiting = null;
    if (fragment.has(FRAGMENT)) {
      fragment.delete(FRAGMENT); // it is used up, and is nobody's business in the history
      history.replaceState(history.state, '', location.pathname + location.search + (String(fragment) && `#${fragment}`));
    }
    if (given) this._open(given);
    else if (this.hasAttribute('from-fragment') && parent === window) this._part('status').textContent = this._words('over');
  }

  disconnectedCallback() {
    clearInterval(this._timer);
    document.removeEventListener('visibilitychange', this._seen);
    removeEventListener('resize', this._draw);
    removeEventListener('online', this._net);
    removeEventListener('offline', this._net);
    if (this._card) this._card.close();
    this._card = null;
    this._bright(false);
  }

  attributeChangedCallback() {
    if (this.isConnected) this._relabel();
  }

  _open(ticket) {
    this._card ||= new Card(
      browserPlatform((this.getAttribute('service') || HOME).replace(/\/$/, '')),
      {
        form: this.getAttribute('form') || 'offline',
        audience: this.getAttribute('audience') || undefined,
        deviceKey: this.getAttribute('device-key') !== 'none',
      },
      (view, before) => this._changed(view, before),
      (name, detail) => this._tell(name, detail),
    );
    this._opened = this._card.open(ticket);
  }

  /** For the host page, across shadow roots; never with a code, a ticket or a person in it. */
  _tell(name, detail) {
    this.dispatchEvent(new CustomEvent(`ecard:${name}`, { detail, bubbles: true, composed: true }));
  }

  _words(key, values) {
    const tag = this.getAttribute('lang') || (this.closest('[lang]') || { lang: navigator.language }).lang;
    return words(languageOf(tag), key, values);
  }

  _relabel() {
    const label = (part, key) => this._part(part).setAttribute('aria-label', this._words(key));
    this._part('title').textContent = this._words('title');
    this._part('test').textContent = this._words('test');
    this._part('refresh').textContent = this._words('refresh');
    this._part('typed-summary').textContent = this._words('typed');
    label('code', 'code');
    label('bars', 'bars');
    if (this._card) this._changed(this._card.view, this._card.view);
    else this._part('status').textContent = this._words('opening');
    this._tick();
  }

  _changed(view, before) {
    const live = view.phase === 'live';
    const shown = live || view.phase === 'dead';
    this._part('card').classList.toggle('dead', !live && shown);
    this._part('test').hidden = !view.test;
    const waiting = !!view.asked && !view.asked.agreed; // while the holder reads, there is nothing to scan
    this._part('panel').hidden = !shown || waiting;
    this._part('status').hidden = waiting;
    this._part('refresh').hidden = !shown || !!view.asked;
    for (const part of ['time', 'typed']) this._part(part).hidden = !live || waiting;
    if (view.asked !== before.asked || view === before) this._asked(view, before);
    this._status(view, before);
    const text = view.code && view.code.text;
    const fresh = text !== (before.code && before.code.text);
    if (fresh || !this._picture) {
      this._said = false;
      this._picture = text && qr(text);
      this._resize();
      if (fresh && text && before.code) this._say('changed');
    }
    this._typed(view);
    if (live !== (before.phase === 'live')) this._bright(live);
  }

  /** What a counter asks, in words; with a choice until the holder has agreed. */
  _asked({ asked }, before) {
    this._part('asked').hidden = !asked;
    if (!asked) return;
    const { name, purpose, payment, agreed } = asked;
    const lines = [['counter', name]];
    if (payment) {
      lines.push(['amount', `¥ ${(payment.amount / 100).toFixed(2)}`], ['payer', payment.payer], ['reference', payment.reference]);
    } else lines.push(['purpose', this._words(`purpose.${purpose}`, { word: purpose })]);
    this._part('asked-title').textContent = this._words(agreed ? 'agreed' : payment ? 'pay' : 'confirm');
    this._part('asked-facts').replaceChildren(
      ...lines.flatMap(([key, value]) => [
        Object.assign(document.createElement('dt'), { textContent: this._words(`asked.${key}`) }),
        Object.assign(document.createElement('dd'), { textContent: value }),
      ]),
    );
    this._part('agree').textContent = this._words('agree');
    this._part('decline').textContent = this._words(agreed ? 'finish' : 'decline');
    this._part('agree').hidden = agreed;
    if (!agreed && !before.asked) this._part('decline').focus(); // the safe one
    this._say(agreed ? 'agreed' : payment ? 'pay' : 'confirm');
  }

  _status(view, before) {
    if ((view.code && view.code.text) !== (before.code && before.code.text)) {
      this._warned = this._captured && view.code !== null;
      this._captured = false;
    }
    const key = this._warned && view.phase === 'live' ? 'captured' : statusOf(view);
    const status = this._part('status');
    status.textContent = this._words(key);
    status.className = `status ${key === 'hint' || key === 'opening' ? 'hint' : 'warn'}`;
    if (view.phase !== before.phase && view.phase !== 'live') this._say(key);
  }

  _typed(view) {
    const typed = this._part('typed-code');
    const bars = this._part('bars');
    typed.className = view.number ? 'number' : 'letters';
    typed.previousElementSibling.textContent = this._words(view.number ? 'number' : 'letters');
    typed.textContent = view.number ? groups(view.number, 5) : view.code ? groups(view.code.typed, 4) : '';
    this._numbered ||= !!view.number;
    bars.hidden = !view.number && (view.offline || !this._numbered); // else its place is kept: nothing jumps
    bars.replaceChildren();
    if (view.number) {
      const modules = code128(view.number);
      const path = modules.map((dark, at) => (dark ? `M${at + QUIET} 0h1v10h-1z` : '')).join('');
      bars.append(drawing(modules.length + 2 * QUIET, 10, path, 'none'));
    }
  }

  /** Whole device pixels for each module: a scanner reads evenly sized squares best. */
  _resize() {
    const place = this._part('code');
    place.replaceChildren();
    if (!this._picture) return;
    const { size, path } = this._picture;
    const svg = place.appendChild(drawing(size, size, path));
    const pixel = 1 / (devicePixelRatio || 1);
    const side = Math.max(Math.floor(place.clientWidth / pixel / size), 1) * size * pixel;
    svg.style.width = svg.style.height = `${side}px`;
  }

  _tick() {
    const card = this._card;
    if (!card) return;
    card.tick();
    const { code, phase } = card.view;
    if (!code || phase !== 'live') return;
    const period = code.nextAt - code.issuedAt;
    const left = Math.max(0, Math.min(period, code.nextAt - card.now()));
    this._part('seconds').textContent = this._words('seconds', { n: Math.ceil(left) });
    const ring = this._part('ring').querySelector('.left');
    ring.style.strokeDasharray = CIRCUMFERENCE;
    ring.style.strokeDashoffset = CIRCUMFERENCE * (1 - left / period);
    if (left <= SOON && left > 0 && !this._said) {
      this._said = true;
      this._say('soon');
    }
  }

  _say(key) {
    this._live.textContent = this._words(key);
  }

  _looked() {
    if (document.visibilityState === 'visible') this._tick();
    this._bright(document.visibilityState === 'visible' && this.phase === 'live');
  }

  /** The host may turn the screen up; we keep it awake where the browser lets us. */
  _bright(bright) {
    if (bright === !!this._brightened) return;
    this._brightened = bright;
    this._tell('brighten', { bright });
    if (!bright) {
      if (this._lock) this._lock.then((lock) => lock && lock.release());
      this._lock = null;
    } else if (navigator.wakeLock) {
      this._lock = navigator.wakeLock.request('screen').catch(() => null);
    }
  }
}
