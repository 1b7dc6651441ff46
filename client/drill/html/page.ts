// A drill's report as one page that needs nothing else: no request, no library, pictures drawn here. Its policy allows exactly its own
// style and script, by their hashes, so that nothing that a host wrote could run even if it were markup; and none is, see markup.ts.
import { createHash } from 'node:crypto';
import type { DrillRecord, DrillSummary } from '../../../manifest/realm/drill/report.ts';
import { valuesOf } from '../figures.ts';
import { element, escapeMarkup } from '../markup.ts';
import { counted } from '../words.ts';
import { auditors } from './auditors.ts';
import { DATA_CLOSING, DATA_OPENING, pageData } from './data.ts';
import { distribution } from './distribution.ts';
import { figuresTable } from './figures-table.ts';
import { SCRIPT } from './script.ts';
import { strips, withoutStrip } from './strips.ts';
import { STYLE } from './style.ts';
import { absent, cards, demands, verdict } from './verdict.ts';
import { waterfall } from './waterfall.ts';
import { worstTrials } from './worst.ts';

/** Too long for one sheet of paper. */
const LONG: ReadonlySet<string> = new Set(['Host by host', 'The slowest trials']);

const CLOCKS = ['command', 'service', 'host'] as const;

/** The text of an HTML file, in UTF-8. Without `jws`, nobody has signed it. */
export function reportPage(summary: DrillSummary, record: DrillRecord, jws?: string): string {
  const { json, isWhole } = pageData(summary, record, jws);
  return [
    '<!doctype html>',
    '<html lang="en">',
    `<head>${head(summary)}</head>`,
    '<body>',
    element(
      'main',
      {},
      verdict(summary, record),
      cards(summary, record),
      ...sections(summary, record, isWhole),
    ),
    `${DATA_OPENING}${json}${DATA_CLOSING}`,
    `<script>${SCRIPT}</script>`,
    '</body>',
    '</html>\n',
  ].join('\n');
}

function head({ kind, pass, trials, hosts }: DrillSummary): string {
  const title = `${pass ? 'Passed' : 'Failed'}: drill ${kind}, ${counted(trials, 'trial')} on ${counted(hosts, 'host')}`;
  const policy = `default-src 'none'; style-src '${hash(STYLE)}'; script-src '${hash(SCRIPT)}'; base-uri 'none'; form-action 'none'`;
  return [
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    element('title', {}, escapeMarkup(title)),
    `<style>${STYLE}</style>`,
  ].join('\n');
}

function sections(summary: DrillSummary, record: DrillRecord, isWhole: boolean): readonly string[] {
  const hidden = withoutStrip(record);
  return [
    section('What was demanded', '', demands(summary, record), absent(summary, record)),
    section(
      'Where the time goes',
      'Each bar begins where the stage before it ended, at the median; the line reaches to the p99. Diamonds are the last successful reads.',
      clockLegend(),
      waterfall(summary),
    ),
    section(
      'When it was over',
      'How large a share of all trials on all hosts had seen its last successful read, in each way, by when.',
      distribution(summary, valuesOf(record)),
    ),
    section(
      'Host by host',
      'A dot for each trial, from the first at the top to the last at the bottom; the upright mark is the median, and a cross a trial with a late read.' +
        (hidden > 0
          ? ` ${counted(hidden, 'host')} with earlier last reads ${hidden === 1 ? 'is' : 'are'} left out.`
          : ''),
      strips(summary, record),
    ),
    section(
      'All figures',
      'Milliseconds since clock zero, or from one moment to the other.',
      figuresTable(summary),
    ),
    section(
      'The slowest trials',
      'Milliseconds since clock zero, host by host, the slowest first. ▸ marks the longest step of each.',
      worstTrials(record),
    ),
    element(
      'section',
      { class: 'long' },
      element('h2', {}, 'For auditors'),
      element('div', { class: 'columns' }, auditors(summary, record, isWhole)),
      element(
        'button',
        {
          id: 'save',
          type: 'button',
          hidden: 'hidden',
          'data-file': `drill-${summary.kind}-${summary.drill}.json`,
        },
        'Save the data as JSON',
      ),
    ),
  ];
}

/** Nothing where there is nothing to show. */
function section(title: string, lead: string, ...content: readonly string[]): string {
  const name = title.toLowerCase().replaceAll(' ', '-');
  if (content.at(-1) === '' && content.length === 1) return '';
  return element(
    'section',
    { 'aria-labelledby': name, class: LONG.has(title) ? 'long' : undefined },
    element('h2', { id: name }, escapeMarkup(title)),
    lead === '' ? '' : element('p', { class: 'lead' }, escapeMarkup(lead)),
    ...content,
  );
}

function clockLegend(): string {
  const entries = CLOCKS.map((clock) =>
    element(
      'li',
      {},
      `<svg class="swatch" viewBox="0 0 12 12" aria-hidden="true"><rect width="12" height="12" rx="2" class="bar ${clock}"></rect></svg>`,
      element('span', {}, `by the clock of the ${clock}`),
    ),
  );
  return element('ul', { class: 'legend' }, ...entries);
}

function hash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
