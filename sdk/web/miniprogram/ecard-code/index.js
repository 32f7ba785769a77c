// <ecard-code> for WeChat mini-programs. `core.js` beside it is built by `make component`.
import { Card, PERIOD, groups, languageOf, miniPlatform, modulesOf, statusOf, words } from './core';

const TICK = 250; // milliseconds
const TEXTS = ['title', 'test', 'code', 'refresh', 'typed', 'letters', 'number'];

Component({
  properties: {
    /** The card authority's address. */
    service: String,
    /** A one-time ticket that your back end fetched, without an origin. Each new one opens, or keeps open. */
    ticket: { type: String, observer: 'open' },
    /** `dark`, `elder`, or both. */
    theme: String,
    /** `zh` or `en`. */
    lang: { type: String, value: 'zh', observer: 'relabel' },
  },

  data: { phase: 'empty', status: '', warn: false, seconds: '', left: 1, typed: '', digits: '', open: false, test: false, words: {} },

  lifetimes: {
    attached() {
      this.relabel();
      this.timer = setInterval(() => this.tick(), TICK);
      this.captured = () => this.card && this.card.captured();
      wx.onUserCaptureScreen && wx.onUserCaptureScreen(this.captured);
      wx.setVisualEffectOnCapture && wx.setVisualEffectOnCapture({ visualEffect: 'hidden' });
      if (this.data.ticket) this.open(this.data.ticket);
    },
    detached() {
      clearInterval(this.timer);
      wx.offUserCaptureScreen && wx.offUserCaptureScreen(this.captured);
      wx.setVisualEffectOnCapture && wx.setVisualEffectOnCapture({ visualEffect: 'none' });
      if (this.card) this.card.close();
      this.bright(false);
    },
  },

  pageLifetimes: {
    show() {
      if (this.card) this.card.networked(true);
      this.tick();
    },
    hide() {
      this.bright(false);
    },
  },

  methods: {
    open(ticket) {
      if (!ticket || !this.timer) return;
      this.card = this.card || this.newCard();
      this.card.open(ticket);
    },

    newCard() {
      return new Card(
        miniPlatform(wx, this.data.service.replace(/\/$/, '')),
        {},
        (view, before) => this.changed(view, before),
        (name, detail) => this.triggerEvent(name, detail),
      );
    },

    relabel() {
      const language = languageOf(this.data.lang);
      const named = {};
      for (const key of TEXTS) named[key] = words(language, key);
      this.setData({ words: named });
      if (this.card) this.changed(this.card.view, this.card.view);
    },

    changed(view, before) {
      const key = statusOf(view);
      this.setData({
        phase: view.phase,
        test: view.test,
        status: words(languageOf(this.data.lang), key),
        warn: key !== 'hint' && key !== 'opening',
        digits: view.number ? groups(view.number, 5) : '',
        typed: view.code ? groups(view.code.typed, 4) : '',
      });
      if (view.code !== before.code || view.phase !== before.phase) this.draw(view.code);
      this.bright(view.phase === 'live');
    },

    draw(code) {
      const query = this.createSelectorQuery().select('#code').fields({ node: true, size: true });
      query.exec(([found]) => {
        if (!found || !found.node) return;
        const { node: canvas, width } = found;
        const side = Math.round(width * wx.getWindowInfo().pixelRatio);
        canvas.width = canvas.height = side;
        const context = canvas.getContext('2d');
        context.fillStyle = '#fff';
        context.fillRect(0, 0, side, side);
        if (!code) return;
        const { size, runs } = modulesOf(code.text);
        const module = Math.floor(side / size);
        const start = Math.floor((side - module * size) / 2);
        context.fillStyle = this.data.phase === 'dead' ? '#ddd' : '#000';
        for (const [x, y, run] of runs) context.fillRect(start + x * module, start + y * module, run * module, module);
      });
    },

    tick() {
      const { card } = this;
      if (!card) return;
      card.tick();
      const { code, phase } = card.view;
      if (!code || phase !== 'live') return;
      const left = Math.max(0, Math.min(PERIOD, code.nextAt - card.now()));
      const seconds = words(languageOf(this.data.lang), 'seconds', { n: Math.ceil(left) });
      if (seconds !== this.data.seconds) this.setData({ seconds, left: left / PERIOD });
    },

    refresh() {
      if (this.card) this.card.refresh();
    },

    unfold() {
      this.setData({ open: !this.data.open });
    },

    bright(bright) {
      if (bright === !!this.brightened) return;
      this.brightened = bright;
      wx.setKeepScreenOn && wx.setKeepScreenOn({ keepScreenOn: bright });
      this.triggerEvent('brighten', { bright });
    },
  },
});
