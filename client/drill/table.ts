// A drill's report for the terminal: 80 columns, numbers in line, and the verdict last, where the eye is. Lines go through
// Output, which keeps what others wrote from steering the terminal.
import type { DrillRecord, DrillSummary, Spread } from '../../manifest/realm/drill/report.ts';
import { WAYS } from '../../manifest/realm/drill/statement.ts';
import { checksOf } from './checks.ts';
import { measuredRows } from './rows.ts';
import { PERCENTILE_LABELS } from './spread.ts';
import type { Percentile } from './spread.ts';
import { counted, fixed, grouped, milliseconds, moment, names } from './words.ts';

const LABEL = 31;
const CLOCK = 8;
const NUMBER = 8;
const TOPIC = 10;
const COLUMNS = Object.keys(PERCENTILE_LABELS) as Percentile[];

export function tableLines(summary: DrillSummary, record: DrillRecord): readonly string[] {
  return [
    ...heading(summary, record),
    '',
    ...figures(summary),
    '',
    ...facts(summary, record),
    '',
    ...verdict(summary, record),
  ];
}

function heading(summary: DrillSummary, { warmUp, trials }: DrillRecord): readonly string[] {
  const { kind, drill, startedAt, endedAt } = summary;
  const before = warmUp > 0 ? ` after ${warmUp} to warm up` : '';
  return [
    `Drill ${kind}: ${counted(trials.length, 'trial')}${before}, ${counted(summary.hosts, 'host')}.`,
    `${moment(startedAt)}, took ${milliseconds(endedAt - startedAt)}; ${drill}`,
  ];
}

/** Where a row has fewer values than the fullest one, their number stands behind its name. */
function figures(summary: DrillSummary): readonly string[] {
  const most = Math.max(0, ...Object.values(summary.ms).map(({ count }) => count));
  const head = row(
    'ms since clock zero',
    'clock',
    COLUMNS.map((column) => PERCENTILE_LABELS[column]),
  );
  return [
    head,
    ...measuredRows(summary).flatMap(({ heading, rows }) => [
      heading,
      ...rows.map(({ label, clock, spread }) =>
        row(`  ${label}${spread.count < most ? ` (${spread.count})` : ''}`, clock, numbers(spread)),
      ),
    ]),
  ];
}

function numbers(spread: Spread): readonly string[] {
  return COLUMNS.map((column) => fixed(spread[column]));
}

function row(label: string, clock: string, cells: readonly string[]): string {
  return label.padEnd(LABEL) + clock.padEnd(CLOCK) + cells.map((cell) => cell.padStart(NUMBER)).join('');
}

function facts(summary: DrillSummary, record: DrillRecord): readonly string[] {
  const { bound } = summary;
  const met = bound.metMs === undefined ? 'not measured' : `met ${milliseconds(bound.metMs)}`;
  return [
    topic(
      'late',
      `${counted(summary.readsAfterEffect, 'read')} after the effect, ${summary.readsAfterReceipt} after the receipt`,
    ),
    topic('', `of ${counted(summary.attemptsAfter, 'attempt')} after the effect:`),
    topic('', attemptsByWay(record)),
    topic('bound', bound.text),
    topic('', `promised ${milliseconds(bound.promisedMs)}, ${met}`),
    ...summary.slo.map(({ text, met, valueMs }) =>
      topic(
        'objective',
        `${text}: ${valueMs === undefined ? 'not measured' : milliseconds(valueMs)}, ${met ? 'met' : 'missed'}`,
      ),
    ),
    ...hosts(summary, record),
    ...clocks(record),
  ];
}

function attemptsByWay({ trials }: DrillRecord): string {
  return WAYS.map((way) => {
    const count = trials.reduce(
      (sum, { hosts }) => hosts.reduce((part, { ways }) => part + ways[way].attemptsAfter, sum),
      0,
    );
    return `${way} ${grouped(String(count))}`;
  }).join(', ');
}

function hosts({ silent }: DrillSummary, { participants }: DrillRecord): readonly string[] {
  const refused = participants
    .filter(({ state }) => state === 'refused')
    .map(({ host, code }) => `${host} (${code ?? 'no reason given'})`);
  return [
    ...(silent.length > 0 ? [topic('silent', names(silent, 5))] : []),
    ...(refused.length > 0 ? [topic('refused', names(refused, 5))] : []),
  ];
}

function clocks({ trials }: DrillRecord): readonly string[] {
  const bounded = trials.flatMap(({ hosts }) => hosts.filter(({ clock }) => clock === 'bounded'));
  if (bounded.length === 0) return [topic('clocks', 'one for all: exact to the microsecond')];
  const most = bounded.reduce((worst, { uncertaintyUs }) => Math.max(worst, uncertaintyUs), 0) / 1000;
  const count = new Set(bounded.map(({ host }) => host)).size;
  return [
    topic(
      'clocks',
      `times of ${counted(count, 'host')} are upper bounds, at most ${milliseconds(most)} too late`,
    ),
  ];
}

function topic(name: string, text: string): string {
  return `${name.padEnd(TOPIC)}${text}`;
}

function verdict(summary: DrillSummary, record: DrillRecord): readonly string[] {
  const failed = checksOf(record, summary).filter(({ passed }) => !passed);
  return [
    ...(record.sabotage === undefined ? [] : [`SABOTAGED, and must not pass: ${record.sabotage}`]),
    summary.pass ? 'PASSED' : 'FAILED',
    ...failed.flatMap(({ name, found }) => [`  demanded: ${name}`, `  found:    ${found}`]),
  ];
}
