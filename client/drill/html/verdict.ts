// The top of the page: did it pass, on what, the four figures that matter, and each thing that was demanded with what was found.
import type { DrillRecord, DrillSummary } from '../../../manifest/realm/drill/report.ts';
import { figureOf } from '../bound.ts';
import { checksOf } from '../checks.ts';
import { element, escapeMarkup } from '../markup.ts';
import { counted, grouped, milliseconds, moment, names } from '../words.ts';

const MARKS = {
  passed: 'M5 13l5 5L20 6',
  failed: 'M6 6l13 13M19 6L6 19',
} as const;

export function verdict(summary: DrillSummary, record: DrillRecord): string {
  const state = summary.pass ? 'passed' : 'failed';
  const { kind, startedAt, endedAt, drill } = summary;
  const what = `Drill ${kind}: ${counted(summary.trials, 'trial')} on ${counted(summary.hosts, 'host')}`;
  return (
    element(
      'header',
      { class: state },
      mark(state),
      element(
        'div',
        {},
        element('h1', {}, summary.pass ? 'Passed' : 'Failed'),
        element('p', { class: 'what' }, escapeMarkup(what)),
        element(
          'p',
          { class: 'when' },
          escapeMarkup(`${moment(startedAt)}, took ${milliseconds(endedAt - startedAt)}. Drill ${drill}`),
        ),
      ),
    ) + sabotage(summary, record)
  );
}

function sabotage({ pass }: DrillSummary, { sabotage: fault }: DrillRecord): string {
  if (fault === undefined) return '';
  const control = pass ? 'It passed: the control has failed.' : 'It failed, as it must.';
  return element(
    'p',
    { class: 'sabotage', role: 'alert' },
    element('strong', {}, 'Sabotaged: '),
    escapeMarkup(`${fault}. This drill must not pass. ${control}`),
  );
}

export function cards(summary: DrillSummary, record: DrillRecord): string {
  const { bound, silent, attemptsAfter } = summary;
  const spread = summary.ms[figureOf(summary.kind)];
  const refused = record.participants.filter(({ state }) => state === 'refused').length;
  const asked = record.participants.length;
  return element(
    'div',
    { class: 'cards' },
    card(
      summary.kind === 'partition' ? 'Cut off to last read, median' : 'Last successful read, median',
      spread ? milliseconds(spread.p50) : 'not measured',
      spread ? `p99 ${milliseconds(spread.p99)}, max ${milliseconds(spread.max)}` : '',
    ),
    card(
      'Reads after the effect',
      grouped(String(summary.readsAfterEffect)),
      `of ${counted(attemptsAfter, 'attempt')} in four ways; after the receipt ${grouped(String(summary.readsAfterReceipt))}`,
    ),
    card(
      'Bound',
      bound.metMs === undefined ? 'not measured' : milliseconds(bound.metMs),
      `at worst, of ${milliseconds(bound.promisedMs)} promised: ${bound.text}`,
    ),
    card(
      'Hosts that took part',
      `${summary.hosts} of ${asked}`,
      `${refused === 0 ? 'none' : refused} refused; ${silent.length === 0 ? 'all answered every trial' : `${silent.length} did not answer, or not always`}`,
    ),
  );
}

export function demands(summary: DrillSummary, record: DrillRecord): string {
  const rows = checksOf(record, summary).map(({ name, passed, found }) =>
    element(
      'tr',
      { class: passed ? 'met' : 'missed' },
      element('td', { class: 'state' }, mark(passed ? 'passed' : 'failed'), passed ? 'met' : 'missed'),
      element('th', { scope: 'row' }, escapeMarkup(name)),
      element('td', { class: 'word' }, escapeMarkup(found)),
    ),
  );
  return element(
    'div',
    { class: 'scroll', tabindex: 0 },
    element('table', { class: 'demands' }, element('tbody', {}, ...rows)),
  );
}

/** Who is not in the figures, and why. */
export function absent({ silent }: DrillSummary, { participants }: DrillRecord): string {
  const refused = participants
    .filter(({ state }) => state === 'refused')
    .map(({ host, code }) => `${host} (${code ?? 'no reason given'})`);
  return [
    ...(silent.length > 0 ? [`Did not answer, or not always: ${names(silent, 100)}.`] : []),
    ...(refused.length > 0 ? [`Refused to take part: ${names(refused, 100)}.`] : []),
  ]
    .map((sentence) => element('p', { class: 'absent' }, escapeMarkup(sentence)))
    .join('');
}

function card(name: string, value: string, detail: string): string {
  return element(
    'div',
    { class: 'card' },
    element('h2', {}, escapeMarkup(name)),
    element('p', { class: 'value' }, escapeMarkup(value)),
    element('p', { class: 'detail' }, escapeMarkup(detail)),
  );
}

function mark(state: keyof typeof MARKS): string {
  return `<svg class="mark ${state}" viewBox="0 0 25 25" aria-hidden="true"><path d="${MARKS[state]}"></path></svg>`;
}
