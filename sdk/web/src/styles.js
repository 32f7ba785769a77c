// The look. Lengths in pt are CSS points: the ageing-friendly rules (MIIT, T/TAF 114-2022) are stated in them.
export const styles = `
:host {
  --_ink: var(--ecard-ink, #1b1f24);
  --_soft: var(--ecard-soft, #555d68);
  --_paper: var(--ecard-paper, #fff);
  --_line: var(--ecard-line, #c9ced6);
  --_accent: var(--ecard-accent, #0b57b0);
  --_on-accent: var(--ecard-on-accent, #fff);
  --_warn: var(--ecard-warn, #a3161f);
  --_text: var(--ecard-text, 12pt);
  --_target: 44pt;
  display: block;
  max-width: var(--ecard-width, 24rem);
  margin-inline: auto;
  color: var(--_ink);
  font: 400 var(--_text) / 1.5 var(--ecard-font, system-ui, -apple-system, "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif);
}
:host([hidden]) { display: none; }
:host([theme~="dark"]) {
  --_ink: var(--ecard-ink, #f2f4f7);
  --_soft: var(--ecard-soft, #b6bec9);
  --_paper: var(--ecard-paper, #16191d);
  --_line: var(--ecard-line, #4a525d);
  --_accent: var(--ecard-accent, #8ab8ff);
  --_on-accent: var(--ecard-on-accent, #10151c);
  --_warn: var(--ecard-warn, #ff9c9c);
}
:host([theme~="elder"]) {
  --_text: var(--ecard-text, 18pt);
  --_target: 60pt;
  --_soft: var(--_ink);
  max-width: var(--ecard-width, 30rem);
}
* { box-sizing: border-box; }
.card {
  background: var(--_paper);
  border: 1px solid var(--_line);
  border-radius: 12px;
  overflow: hidden;
  text-align: center;
}
.test {
  margin: 0;
  padding: .35em 1em;
  background: #b00020;
  color: #fff;
  font-weight: 700;
}
.body { padding: 1em; display: grid; gap: .75em; justify-items: center; }
h2 { margin: 0; font-size: 1.15em; line-height: 1.3; }
p { margin: 0; }
.panel {
  width: 100%;
  background: #fff;
  color: #000;
  border-radius: 8px;
  padding: 8px 4px;
  display: grid;
  gap: 8px;
  justify-items: center;
}
.panel svg { display: block; }
.bars { width: 100%; min-height: 56px; }
.bars svg { width: 100%; height: 56px; }
.code { width: 100%; aspect-ratio: 1; display: grid; place-items: center; }
.dead .panel > * { opacity: .12; filter: blur(5px); }
.dead .panel { background: #d9dce1; }
.time { display: flex; align-items: center; gap: .6em; min-height: 2.4em; }
.ring { width: 2.2em; height: 2.2em; transform: rotate(-90deg); }
.ring circle { fill: none; stroke-width: 4; stroke: var(--_line); }
.ring .left { stroke: var(--_accent); }
.seconds { min-width: 3.2em; text-align: start; font-variant-numeric: tabular-nums; font-weight: 700; }
.status { min-height: 1.5em; }
.warn { color: var(--_warn); font-weight: 700; }
.warn::before { content: "⚠ "; }
.hint { color: var(--_soft); }
button, summary {
  font: inherit;
  min-height: var(--_target);
  min-width: var(--_target);
  padding: .4em 1.2em;
  border-radius: 8px;
  cursor: pointer;
}
button { border: 0; background: var(--_accent); color: var(--_on-accent); font-weight: 700; width: 100%; }
.asked { width: 100%; display: grid; gap: .75em; text-align: start; }
.asked h3 { margin: 0; font-size: 1.1em; line-height: 1.3; }
.asked dl { margin: 0; display: grid; grid-template-columns: auto 1fr; gap: .35em 1em; }
.asked dt { color: var(--_soft); }
.asked dd { margin: 0; font-weight: 700; overflow-wrap: anywhere; }
.choice { display: grid; gap: .6em; }
[part="decline"] { background: transparent; color: var(--_accent); border: 2px solid var(--_accent); }
details { width: 100%; border-top: 1px solid var(--_line); }
summary { display: flex; gap: .5em; align-items: center; justify-content: center; color: var(--_accent); list-style: none; }
summary::-webkit-details-marker { display: none; }
summary::after { content: "▾"; line-height: 1; }
details[open] summary::after { content: "▴"; }
:focus-visible { outline: 3px solid var(--_accent); outline-offset: 2px; }
button:focus-visible { outline-color: var(--_ink); }
.typed { padding: 0 0 .5em; display: grid; gap: .4em; user-select: all; -webkit-user-select: all; }
.typed p { user-select: none; -webkit-user-select: none; }
.number { font-size: 1.6em; font-weight: 700; letter-spacing: .06em; font-variant-numeric: tabular-nums; }
.letters { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; word-spacing: .3em; overflow-wrap: break-word; }
.unseen { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
[hidden] { display: none !important; }
@media (prefers-reduced-motion: no-preference) { .ring .left { transition: stroke-dashoffset .3s linear; } }
@media (forced-colors: active) { .panel { forced-color-adjust: none; } }
`;
