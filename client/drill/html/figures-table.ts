// Every figure as a table: the same rows as in the terminal.
import type { DrillSummary, Spread } from '../../../manifest/realm/drill/report.ts';
import { element, escapeMarkup } from '../markup.ts';
import { measuredRows } from '../rows.ts';
import type { Row } from '../rows.ts';
import { PERCENTILE_LABELS } from '../spread.ts';
import type { Percentile } from '../spread.ts';
import { fixed } from '../words.ts';

const COLUMNS = Object.keys(PERCENTILE_LABELS) as Percentile[];

export function figuresTable(summary: DrillSummary): string {
  const heads = ['values', ...COLUMNS.map((column) => PERCENTILE_LABELS[column])];
  const table = element(
    'table',
    { class: 'figures' },
    element(
      'thead',
      {},
      element(
        'tr',
        {},
        element('td', {}),
        element('th', { scope: 'col', class: 'word' }, 'clock'),
        ...heads.map((head) => element('th', { scope: 'col' }, head)),
      ),
    ),
    ...measuredRows(summary).map(({ heading, rows }) =>
      element(
        'tbody',
        {},
        element(
          'tr',
          {},
          element(
            'th',
            { scope: 'rowgroup', colspan: heads.length + 2, class: 'group' },
            escapeMarkup(heading),
          ),
        ),
        ...rows.map(figureRow),
      ),
    ),
  );
  return element('div', { class: 'scroll', tabindex: 0 }, table);
}

function figureRow({ label, clock, spread }: Row & { readonly spread: Spread }): string {
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, escapeMarkup(label)),
    element('td', { class: 'word' }, clock),
    element('td', {}, String(spread.count)),
    ...COLUMNS.map((column) => element('td', {}, fixed(spread[column]))),
  );
}
