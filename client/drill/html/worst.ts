// The trials whose last read came latest, host by host and stage by stage: where the time went is what there is to mend. The
// longest step of each host stands out by its weight and a mark, not by colour alone.
import { STAGES } from '../../../manifest/realm/drill/report.ts';
import type { DrillRecord, HostTrial, Stage, Trial } from '../../../manifest/realm/drill/report.ts';
import { WAYS } from '../../../manifest/realm/drill/statement.ts';
import { FIGURES } from '../figures.ts';
import { element, escapeMarkup } from '../markup.ts';
import { STAGE_LABELS } from '../rows.ts';
import { milliseconds, moment } from '../words.ts';

const MOST_TRIALS = 5;
const MOST_HOSTS = 8;
/** There are many columns. */
const HEADS: Readonly<Record<Stage, string>> = {
  ...STAGE_LABELS,
  denied: 'denied',
  invalidated: 'invalidated',
  zeroed: 'zeroed',
};

export function worstTrials({ trials }: DrillRecord): string {
  const worst = trials
    .map((trial) => ({ trial, ms: slowest(trial) }))
    .sort((a, b) => b.ms - a.ms)
    .slice(0, MOST_TRIALS)
    .filter(({ ms }) => ms >= 0);
  return worst.map(({ trial, ms }) => detail(trial, ms)).join('');
}

function lastRead(host: HostTrial): number {
  return (FIGURES.get('zeroToLastRead')?.(host) ?? -1000) / 1000;
}

function slowest({ hosts }: Trial): number {
  return hosts.reduce((most, host) => Math.max(most, lastRead(host)), -1);
}

function detail(trial: Trial, ms: number): string {
  const hosts = [...trial.hosts].sort((a, b) => lastRead(b) - lastRead(a));
  const stages = STAGES.filter((stage) => hosts.some((host) => host.stages[stage] !== undefined));
  const title = `Trial ${trial.number}: last read after ${milliseconds(ms)}`;
  const more = hosts.length > MOST_HOSTS ? `; the slowest ${MOST_HOSTS} of ${hosts.length} hosts` : '';
  const missing = trial.missing.length > 0 ? `; no answer from ${trial.missing.join(', ')}` : '';
  const table = element(
    'table',
    { class: 'wide' },
    element(
      'caption',
      {},
      escapeMarkup(title),
      element('small', {}, escapeMarkup(`${moment(trial.at)}${more}${missing}`)),
    ),
    element('thead', {}, ...heads(stages)),
    element('tbody', {}, ...hosts.slice(0, MOST_HOSTS).map((host) => row(host, stages))),
  );
  return element('div', { class: 'scroll', tabindex: 0 }, table);
}

function heads(stages: readonly Stage[]): readonly string[] {
  const over = [
    element('th', { colspan: stages.length + 1 }),
    element('th', { scope: 'colgroup', colspan: WAYS.length }, 'last read'),
    element('th', {}),
  ];
  const names = ['host', ...stages.map((stage) => HEADS[stage]), ...WAYS, 'late'];
  return [
    element('tr', {}, ...over),
    element('tr', {}, ...names.map((name) => element('th', { scope: 'col' }, escapeMarkup(name)))),
  ];
}

function row(host: HostTrial, stages: readonly Stage[]): string {
  const longest = longestStep(host, stages);
  const late = WAYS.reduce((sum, way) => sum + host.ways[way].late, 0);
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, escapeMarkup(host.host)),
    ...stages.map((stage) => cell(host.stages[stage], stage === longest)),
    ...WAYS.map((way) => cell(host.ways[way].lastReadUs, false)),
    element('td', late > 0 ? { class: 'bad' } : {}, String(late)),
  );
}

function cell(us: number | undefined, isLongest: boolean): string {
  const shown = us === undefined ? '–' : (us / 1000).toFixed(us < 1_000_000 ? 2 : 1);
  return element('td', {}, isLongest ? element('strong', {}, `▸ ${shown}`) : shown);
}

/** Counted from the latest of the stages before it, since some overlap. */
function longestStep({ stages: times }: HostTrial, stages: readonly Stage[]): Stage | undefined {
  let before = 0;
  let longest: { stage: Stage; us: number } | undefined;
  for (const stage of stages) {
    const us = times[stage];
    if (us === undefined) continue;
    if (us - before > (longest?.us ?? 0)) longest = { stage, us: us - before };
    before = Math.max(before, us);
  }
  return longest?.stage;
}
