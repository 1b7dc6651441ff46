// The page's style: light, dark and paper from one set of colours, all of them with a contrast of at least 4.5 to 1 for text. Widths
// are of letters, not of pixels, so it reads at any size.
const LIGHT = `
  --page: #f5f6f8; --card: #ffffff; --ink: #1b222c; --muted: #5a6574; --line: #e2e6eb; --strong-line: #c3cad3;
  --good: #1b7048; --good-soft: #e3f2ea; --bad: #b3261e; --bad-soft: #fbe6e4;
  --command: #8367b4; --service: #b5741a; --host: #2f6db0;
  --reopen: #2f6db0; --held: #b5541a; --mapped: #1b7048; --watched: #8367b4; --receipt: #5a6574;`;

const DARK = `
  --page: #101419; --card: #181d24; --ink: #e4e8ee; --muted: #9da8b6; --line: #2a323c; --strong-line: #46515f;
  --good: #62c793; --good-soft: #17301f; --bad: #ff8d84; --bad-soft: #3a1a18;
  --command: #b09be0; --service: #dca350; --host: #6caae8;
  --reopen: #6caae8; --held: #e8925a; --mapped: #62c793; --watched: #b09be0; --receipt: #9da8b6;`;

export const STYLE = `
:root { color-scheme: light dark;${LIGHT} }
@media (prefers-color-scheme: dark) { :root {${DARK} } }
@media print { :root { color-scheme: light;${LIGHT} --page: #ffffff; } }

* { box-sizing: border-box; }
body {
  margin: 0; padding: 2rem 1.25rem 3rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 72rem; margin: 0 auto; }
h1, h2, h3, p, ul, dl { margin: 0; }
small { font-size: inherit; color: var(--muted); }

header { display: flex; align-items: center; gap: 1.25rem; padding: 0 0 1.5rem; }
header .mark { width: 4rem; height: 4rem; flex: none; padding: 0.7rem; border-radius: 50%; }
header .mark.passed { background: var(--good-soft); }
header .mark.failed { background: var(--bad-soft); }
.mark path { fill: none; stroke-width: 3; stroke-linecap: round; stroke-linejoin: round; }
.mark.passed path { stroke: var(--good); }
.mark.failed path { stroke: var(--bad); }
h1 { font-size: 2.1rem; line-height: 1.15; font-weight: 650; letter-spacing: -0.01em; }
.passed h1 { color: var(--good); }
.failed h1 { color: var(--bad); }
.what { font-size: 1.1rem; font-weight: 500; }
.when { color: var(--muted); font-size: 0.875rem; overflow-wrap: anywhere; }

.sabotage { margin-bottom: 1.5rem; padding: 0.9rem 1.25rem; border: 2px solid var(--bad); border-radius: 0.6rem; background: var(--bad-soft); color: var(--bad); }

.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13.5rem, 1fr)); gap: 1rem; }
.card, section { background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem; }
.card { padding: 1rem 1.25rem; }
.card h2 { font-size: 0.875rem; font-weight: 500; color: var(--muted); }
.value { font-size: 1.8rem; line-height: 1.35; font-weight: 650; letter-spacing: -0.01em; }
.detail { font-size: 0.875rem; color: var(--muted); }

section { margin-top: 1rem; padding: 1.4rem 1.5rem 1.5rem; }
section > h2 { font-size: 1.15rem; font-weight: 650; }
.lead { color: var(--muted); font-size: 0.925rem; max-width: 56rem; margin: 0.25rem 0 1rem; }
h3 { margin: 1.4rem 0 0.35rem; font-size: 1rem; font-weight: 650; }
h3 { break-after: avoid; }
.columns h3 { margin-top: 0; padding-top: 0.9rem; }
.columns { columns: 26rem; column-gap: 3rem; }
.columns p { margin-bottom: 0.6rem; overflow-wrap: anywhere; font-size: 0.925rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1.25rem; font-size: 0.925rem; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }

.picture, .scroll { overflow-x: auto; }
.picture:focus-visible, .scroll:focus-visible, button:focus-visible { outline: 2px solid var(--host); outline-offset: 2px; }
.picture svg { display: block; width: 100%; min-width: 50rem; height: auto; }
svg text { font-size: 13px; fill: var(--ink); }
svg .tick { font-size: 12px; fill: var(--muted); }
svg .note { font-size: 12px; fill: var(--bad); }
.grid, .divider { stroke: var(--line); stroke-width: 1; }
.effect { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 4 3; }
.bar.command { fill: var(--command); }
.bar.service { fill: var(--service); }
.bar.host { fill: var(--host); }
.whisker { stroke: var(--muted); stroke-width: 1.5; fill: none; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.curve.reopen { stroke: var(--reopen); }
.curve.held { stroke: var(--held); stroke-dasharray: 9 4; }
.curve.mapped { stroke: var(--mapped); stroke-width: 3; stroke-dasharray: 2 4; }
.curve.watched { stroke: var(--watched); stroke-dasharray: 12 3 2 3; }
.curve.receipt { stroke: var(--receipt); stroke-width: 3; }
.dots { fill: none; stroke: var(--host); stroke-width: 4; stroke-linecap: round; opacity: 0.65; }
.middle { stroke: var(--ink); stroke-width: 2; }
.late { fill: none; stroke: var(--bad); stroke-width: 2.5; }
.legend { display: flex; flex-wrap: wrap; gap: 0.3rem 1.5rem; padding: 0; margin: 0 0 0.8rem; list-style: none; font-size: 0.875rem; }
.legend li { display: flex; align-items: center; gap: 0.5rem; }
.sample { width: 36px; height: 10px; flex: none; }
.swatch { width: 12px; height: 12px; flex: none; }

table { border-collapse: collapse; font-size: 0.9rem; }
caption { text-align: left; font-weight: 600; padding: 0 0 0.4rem; }
caption small { font-weight: 400; margin-left: 0.75rem; }
th, td { padding: 0.3rem 0.6rem; text-align: right; border-top: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 400; }
thead td { border-top: 0; }
thead th[colspan] { text-align: center; padding-bottom: 0; }
thead th { color: var(--muted); vertical-align: bottom; border-top: 0; white-space: normal; }
th[scope=row], th:first-child, td:first-child, .word { text-align: left; }
tr > :first-child { padding-left: 0; }
tr > :last-child { padding-right: 0; }
.figures { width: 100%; }
.figures th[scope=row] { padding-left: 1rem; }
.group { font-weight: 600; padding-top: 0.9rem; }
thead + tbody .group { padding-top: 0.4rem; }
.demands { width: 100%; margin-top: 0.6rem; }
.demands tr:first-child > * { border-top: 0; }
.demands th { white-space: normal; }
.demands td.word { white-space: normal; color: var(--muted); }
.absent { margin-top: 0.6rem; font-size: 0.925rem; }
.state .mark { width: 1.1rem; height: 1.1rem; margin-right: 0.5rem; vertical-align: -0.2rem; }
.met .state { color: var(--good); }
.missed .state, .bad { color: var(--bad); font-weight: 600; }
.missed td.word { color: var(--ink); }
.wide { font-size: 0.8rem; width: 100%; }
.wide th, .wide td { padding: 0.25rem 0.28rem; }
.wide thead th { min-width: 3.6rem; line-height: 1.25; }
.scroll + .scroll { margin-top: 1.5rem; }

button { margin-top: 1.2rem; padding: 0.5rem 1rem; font: inherit; font-size: 0.925rem; color: var(--ink); background: var(--card); border: 1px solid var(--strong-line); border-radius: 0.4rem; cursor: pointer; }
button:hover { border-color: var(--host); }
[hidden] { display: none; }

@media (max-width: 40rem) {
  body { padding: 1.25rem 0.75rem 2rem; }
  section { padding: 1.1rem 1rem; }
  header .mark { width: 3rem; height: 3rem; padding: 0.5rem; }
}
@media print {
  @page { margin: 14mm; }
  body { padding: 0; font-size: 12px; }
  main { max-width: none; }
  .card, section { break-inside: avoid; }
  section.long { break-inside: auto; }
  h2, .lead, .legend { break-after: avoid; }
  .scroll, .picture { overflow: visible; break-inside: avoid; }
  dl, .columns p { break-inside: avoid; }
  .picture svg { min-width: 0; }
  .wide { font-size: 7.5px; }
  .wide thead th { min-width: 0; }
  .cards { grid-template-columns: repeat(4, 1fr); gap: 0.6rem; }
  .card { padding: 0.6rem 0.8rem; }
  button { display: none; }
}
`;
