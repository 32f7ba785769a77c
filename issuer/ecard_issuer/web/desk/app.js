// The desk page: brings the agent's news, the clerk's acts and the service's answers together.

import { Acts, failure } from './acts.js';
import { Agent, Refused } from './agent.js';
import { Fields, element, showOutcome, speak } from './screen.js';

const TOKEN = 'ecard-desk-token';
const texts = await (await fetch('/desk/texts.json')).json();
let language = document.documentElement.lang in texts ? document.documentElement.lang : 'zh';
let agentState = 'absent';
let service = 'running';
let readers = new Map();
let busy = false;
let acts = null;
/** The proven enrolment that an offer may be made for; it belongs to the card on the screen. */
let enrolmentId = '';
/** The outcome on the screen holds an offer's link and digits: it goes with its card. */
let offered = false;
/** Each reading has a number, so that a late answer never fills the fields of another card. */
let reading = 0;
let awaited = false;

const fields = new Fields();
const words = () => texts[language];
const agent = new Agent(document.body.dataset.agentPort, hear, () => language);

function hear({ state, news }) {
  if (state) {
    agentState = state;
    if (state !== 'ready') {
      readers = new Map();
      forget();
    }
  }
  if (news) note(news);
  draw();
}

function note(news) {
  const { event, reader } = news;
  if (event === 'readers') {
    service = news.service;
    readers = new Map(news.readers.map(({ name, card }) => [name, card !== 'none']));
    readWhatIsIn();
  } else if (event === 'service_gone' || event === 'service_back') {
    service = event === 'service_back' ? 'running' : 'stopped';
  } else if (event === 'reader_gone') {
    readers.delete(reader);
    readWhatIsIn();
  } else if (event === 'reader_added') {
    readers.set(reader, false);
  } else if (event === 'removed') {
    readers.set(reader, false);
    readWhatIsIn();
  } else if (event === 'inserted') {
    readers.set(reader, true);
    if (!busy) showOutcome(null);
    readWhatIsIn();
  }
}

/** What is on the screen and in the inputs of the card that is gone. An outcome stays until the next card. */
function forget() {
  reading += 1;
  awaited = false;
  enrolmentId = '';
  if (offered) showOutcome(null);
  offered = false;
  element('offer').hidden = true;
  fields.clear();
  for (const input of document.querySelectorAll('#acts input')) input.value = '';
}

/** Reads the card in the chosen reader, or the only card there is; with several it waits for a choice. */
async function readWhatIsIn() {
  const chosen = element('reader').value;
  const full = [...readers].filter(([name, card]) => card && (!chosen || name === chosen)).map(([name]) => name);
  if (fields.card && full.includes(fields.card.reader)) return;
  forget();
  if (full.length !== 1) return draw();
  const number = reading;
  awaited = true;
  draw();
  try {
    const card = await agent.read(full[0]);
    if (number === reading) fields.fill(card);
  } catch (error) {
    if (number === reading) showFailure(error);
  }
  if (number === reading) awaited = false;
  draw();
}

function draw() {
  const { agent_ready: ready } = words();
  const stateWord = agentState === 'ready' && service !== 'running' ? `agent_${service}` : `agent_${agentState}`;
  element('agent-state').textContent = words()[stateWord] ?? ready;
  element('agent').dataset.state = agentState === 'ready' ? service : agentState;
  element('pairing').hidden = agentState !== 'unpaired';
  element('paired').hidden = agentState !== 'ready';
  drawReaders();
  const full = [...readers.values()].filter(Boolean).length;
  element('card-state').textContent = words()[cardState(full)] ?? '';
}

/** The word for what is awaited; none while a card is on the screen. */
function cardState(full) {
  if (fields.card) return '';
  if (awaited) return 'reading';
  if (full > 1 && !element('reader').value) return 'choose';
  return readers.size ? 'insert' : 'no_reader';
}

function drawReaders() {
  const select = element('reader');
  const chosen = readers.has(select.value) ? select.value : '';
  const options = ['', ...readers.keys()].map((name) => {
    const option = document.createElement('option');
    option.value = name;
    option.textContent = name || words().any_reader;
    return option;
  });
  select.replaceChildren(...options);
  select.value = chosen;
}

function showFailure(error) {
  const { outcome, word, title, code } = failure(error);
  showOutcome(outcome, outcomeWord(outcome), [word ? words()[word] : title, code]);
  if (error instanceof Refused && error.status === 401 && !error.code.startsWith('desk_')) leave();
}

const outcomeWord = (outcome) => words()[outcome === 'check' ? 'check_word' : outcome];

/** One act at a time; what comes of it is shown, also when it fails. */
async function act(work) {
  if (busy || !fields.card) return;
  busy = true;
  offered = false;
  element('acts').disabled = true;
  showOutcome('busy', words().busy);
  try {
    const { outcome, lines } = await work(fields.card);
    showOutcome(outcome, outcomeWord(outcome), lines);
  } catch (error) {
    showFailure(error);
  } finally {
    busy = false;
    element('acts').disabled = !fields.card;
    for (const input of document.querySelectorAll('#acts input[type=password]')) input.value = '';
  }
}

const check = () =>
  act(async (card) => {
    const found = await acts.check(card);
    const status = `${words().card_status}: ${words()[`status_${found.status}`]}`;
    return {
      outcome: found.outcome,
      lines: [words()[found.finding], status, `${words().level}: ${words()[found.proven_now]}`],
    };
  });

const enrol = () =>
  act(async (card) => {
    const proven = await acts.enrol(card);
    if (fields.card === card) enrolmentId = proven.enrolment_id;
    element('offer').hidden = !enrolmentId;
    return { outcome: 'valid', lines: [words().enrolled, `${words().level}: ${words()[proven.chip_assurance]}`] };
  });

const offer = () =>
  act(async () => {
    const made = await acts.offer(enrolmentId);
    if (!fields.card) return { outcome: 'undecided', lines: [words().other_card] };
    offered = true;
    const lines = [`${words().digits}: ${made.tx_code}`, `${words().link}: ${made.links.openid.by_reference}`];
    return { outcome: 'valid', lines };
  });

const replace = (caseId) =>
  act(async (card) => {
    await acts.replace(card, caseId);
    return { outcome: 'valid', lines: [words().replaced] };
  });

const changePin = (old, fresh) =>
  act(async (card) => {
    const done = await acts.changePin(card, old, fresh);
    if (done.chip === 'none') return { outcome: 'valid', lines: [words().pin_changed] };
    if (done.chip === 'changed') return { outcome: 'valid', lines: [words().pin_changed_both] };
    if (done.chip === 'wrong') return { outcome: 'check', lines: [words().chip_pin_wrong + done.tries_left] };
    if (done.chip === 'locked') return { outcome: 'check', lines: [words().chip_pin_locked] };
    return { outcome: 'check', lines: [words().pin_register_only, failure(done.error).title] };
  });

const resetPin = (document, fresh) =>
  act(async (card) => {
    await acts.resetPin(card, document, fresh);
    return { outcome: 'valid', lines: [words()[card.chip_pin ? 'pin_register_only' : 'pin_changed']] };
  });

function twice(fresh, again, go) {
  if (fresh !== again) showOutcome('undecided', words().undecided, [words().pin_differs]);
  else go();
}

async function enter(token) {
  const trial = new Acts(agent, token, () => language);
  let admitted = false;
  try {
    admitted = await trial.admitted();
  } catch (error) {
    return showFailure(error);
  }
  if (!admitted) {
    sessionStorage.removeItem(TOKEN);
    return showOutcome('invalid', words().invalid, [words().token_wrong]);
  }
  sessionStorage.setItem(TOKEN, token);
  acts = trial;
  showOutcome(null);
  element('entry').hidden = true;
  element('desk').hidden = false;
}

function leave() {
  sessionStorage.removeItem(TOKEN);
  acts = null;
  forget();
  element('entry').hidden = false;
  element('desk').hidden = true;
}

function choose(next) {
  language = next;
  speak(words(), language);
  fields.speak(words());
  draw();
}

/** A form's values by name, once it is sent. */
const onSubmit = (id, work) =>
  element(id).addEventListener('submit', (event) => {
    event.preventDefault();
    work(Object.fromEntries(new FormData(event.target)));
  });

onSubmit('entry', ({ token }) => {
  element('token').value = '';
  enter(token.trim());
});
onSubmit('pairing', ({ code }) => {
  element('code').value = '';
  agent.pair(code).then(() => showOutcome(null), showFailure);
});
onSubmit('replace', ({ case_id: caseId }) => replace(caseId.trim()));
onSubmit('change-pin', ({ old, fresh, again }) => twice(fresh, again, () => changePin(old, fresh)));
onSubmit('reset-pin', ({ document, fresh, again }) => twice(fresh, again, () => resetPin(document.trim(), fresh)));
element('check').addEventListener('click', check);
element('enrol').addEventListener('click', enrol);
element('offer').addEventListener('click', offer);
element('reveal').addEventListener('click', () => fields.toggle());
element('unpair').addEventListener('click', () => agent.unpair().catch(showFailure));
element('leave').addEventListener('click', leave);
element('language').addEventListener('click', () => choose(language === 'zh' ? 'en' : 'zh'));
element('reader').addEventListener('change', () => {
  fields.clear();
  readWhatIsIn();
});
addEventListener('pagehide', () => fields.clear());

choose(language);
agent.keep();
if (sessionStorage.getItem(TOKEN)) enter(sessionStorage.getItem(TOKEN));
document.body.dataset.ready = 'yes';
