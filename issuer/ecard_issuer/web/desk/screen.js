// What the page shows: texts of the catalogue, the card's fields, and an outcome by word, shape and colour together.

const SVG = 'http://www.w3.org/2000/svg';
/** Told apart without colour: a tick in a circle, a triangle, a cross in an octagon, a question mark in a square. */
const SHAPES = {
  valid: ['M32 4a28 28 0 1 0 .1 0zM18 33l10 10 20-22', 'round'],
  check: ['M32 5 60 57H4zM32 24v16M32 47v3', 'miter'],
  invalid: ['M21 4h22l17 17v22L43 60H21L4 43V21zM22 22l20 20M42 22 22 42', 'miter'],
  undecided: ['M6 6h52v52H6zM24 25a8 8 0 1 1 11 7c-3 2-3 4-3 7M32 46v3', 'round'],
};
const SHOWN = 15000;

export const element = (id) => document.getElementById(id);

/** Sets the texts of everything that names one: `data-text`, and `data-label` for an accessible name. */
export const speak = (words, language) => {
  document.documentElement.lang = language;
  document.title = words.title;
  for (const node of document.querySelectorAll('[data-text]')) node.textContent = words[node.dataset.text];
};

/** Covers all but `head` and `tail` characters. */
const cover = (text, head, tail) => {
  const covered = Math.max(text.length - head - tail, 1);
  return text.slice(0, head) + '*'.repeat(covered) + text.slice(head + covered);
};

const FIELDS = ['name', 'id_number', 'card_number', 'identification_code', 'version', 'issued_on', 'expires_on'];
const COVERS = { name: [0, 1], id_number: [3, 2], card_number: [0, 4], identification_code: [6, 4] };

/** The card's fields, covered until somebody asks, and covered again after a while. */
export class Fields {
  #card = null;
  #open = false;
  #timer = 0;
  #words = {};

  get card() {
    return this.#card;
  }

  speak(words) {
    this.#words = words;
    this.#draw();
  }

  fill(card) {
    this.#card = card;
    this.cover();
  }

  clear() {
    this.fill(null);
  }

  cover() {
    clearTimeout(this.#timer);
    this.#open = false;
    this.#draw();
  }

  toggle() {
    if (this.#open) return this.cover();
    this.#open = true;
    this.#timer = setTimeout(() => this.cover(), SHOWN);
    this.#draw();
  }

  #draw() {
    const card = this.#card;
    const values = { ...card, ...card?.holder };
    for (const field of FIELDS) {
      const value = values[field] ?? '';
      const text = value && COVERS[field] && !this.#open ? cover(value, ...COVERS[field]) : value;
      element(`field-${field}`).textContent = text || (card ? this.#words.closed : '');
    }
    element('reveal').textContent = this.#words[this.#open ? 'hide' : 'show'];
    element('reveal').setAttribute('aria-pressed', String(this.#open));
    element('fields').hidden = !card;
    element('acts').disabled = !card;
  }
}

/** Shows `outcome` with `word` beside its shape, and `lines` under it; nothing for null. */
export const showOutcome = (outcome, word, lines = []) => {
  const place = element('outcome');
  place.replaceChildren();
  if (outcome === null) {
    delete place.dataset.outcome;
    return;
  }
  place.dataset.outcome = outcome;
  if (SHAPES[outcome]) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', '0 0 64 64');
    svg.setAttribute('aria-hidden', 'true');
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', SHAPES[outcome][0]);
    path.setAttribute('stroke-linejoin', SHAPES[outcome][1]);
    svg.append(path);
    place.append(svg);
  }
  const text = document.createElement('div');
  const strong = document.createElement('strong');
  strong.textContent = word;
  text.append(strong);
  for (const line of lines.filter(Boolean)) {
    const paragraph = document.createElement('p');
    paragraph.textContent = line;
    text.append(paragraph);
  }
  place.append(text);
};
