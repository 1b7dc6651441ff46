// From the outcomes of all subjects to the table, the JSON and the verdict. A zero counts only with its control: that
// enough was tried, and that the same count finds late reads, by each way, where there are some.
import { release } from 'node:os';
import type { Way } from '../../demo/records.ts';
import { percentile } from '../findings.ts';
import type { Findings } from '../findings.ts';
import { WAYS } from './outcome.ts';
import type { Outcome } from './outcome.ts';

export type Name = 'lapse' | 'etcd' | 'poller';

export interface Measured {
  readonly trials: number;
  readonly etcdVersion: string;
  readonly pollSeconds: number;
  /** Milliseconds after clock zero at which what could still be read counts as left open. */
  readonly lookMs: Readonly<Record<Name, number>>;
  readonly outcomes: Readonly<Record<Name, readonly Outcome[]>>;
  /** Lapse whose daemon never tells the kernel to forget: mappings survive, and that must be counted. */
  readonly sabotaged: readonly Outcome[];
}

/** Attempts by each way after the effect of each of Lapse's trials; the reader makes thousands. */
const LEAST_ATTEMPTS = 100;
/** What readers may pause between two attempts, usually; milliseconds, as in the demo. */
const MOST_PAUSE_MS = 1;
const NAMES: readonly Name[] = ['lapse', 'etcd', 'poller'];
const WORDS: Readonly<Record<Way, string>> = {
  reopen: 'opened anew',
  held: 'held descriptor',
  mapped: 'mapping',
};

export function report(measured: Measured): Findings {
  const { trials, outcomes, etcdVersion, pollSeconds, lookMs, sabotaged } = measured;
  const keys = { lapse: 'lapse', etcd: 'etcd', poller: `poller${pollSeconds}s` };
  const byName = <T>(of: (found: readonly Outcome[]) => T): Record<string, T> =>
    Object.fromEntries(NAMES.map((name) => [keys[name], of(outcomes[name])]));
  const caught = verdict(measured);
  const json = {
    trials,
    ms: byName((found) => byWay((way) => spread(found.map(({ ways }) => ways[way].lastReadMs)))),
    effectMs: byName((found) => spread(found.map(({ effectMs }) => effectMs))),
    readsAfterEffect: byName((found) => byWay((way) => sum(found, way, 'reads'))),
    stillReadable: byName(
      (found) => found.filter(({ ways }) => WAYS.some((way) => ways[way].stillReadable)).length,
    ),
    stillReadableBy: byName((found) => byWay((way) => stillReadable(found, way))),
    controls: {
      attemptsAfterEffect: byName((found) => byWay((way) => sum(found, way, 'attempts'))),
      usualPauseMs: byName((found) => spread(found.map(({ usualPauseMs }) => usualPauseMs))),
      longestPauseMs: byName((found) => spread(found.map(({ longestPauseMs }) => longestPauseMs))),
      sabotaged: { trials: sabotaged.length, readsAfterEffect: byWay((way) => sum(sabotaged, way, 'reads')) },
      lateReadsNoticed: byWay((way) => noticed(measured, way)),
    },
    caught,
    versions: { etcd: etcdVersion, kernel: release(), node: process.version },
    lookMs: { [keys.lapse]: lookMs.lapse, [keys.etcd]: lookMs.etcd, [keys.poller]: lookMs.poller },
  };
  return { lines: [...table(measured), ...controls(measured, caught)], json, failed: caught.length > 0 };
}

/** One sentence for each promise of Lapse that was broken, and for each control that found nothing. */
export function verdict(measured: Measured): readonly string[] {
  const { lapse, etcd, poller } = measured.outcomes;
  const caught: string[] = [];
  const demand = (holds: boolean, sentence: string): void => {
    if (!holds) caught.push(sentence);
  };
  for (const way of WAYS) {
    const late = sum(lapse, way, 'reads');
    demand(late === 0, `Lapse: ${late} reads (${WORDS[way]}) succeeded after the effect`);
    const least = Math.min(...lapse.map(({ ways }) => ways[way].attempts));
    demand(
      least >= LEAST_ATTEMPTS,
      `control: only ${least} attempts (${WORDS[way]}) after the effect in a trial`,
    );
    demand(
      noticed(measured, way) > 0,
      `control: no late read (${WORDS[way]}) was counted where there must be some`,
    );
    for (const name of NAMES) {
      const blind = measured.outcomes[name].filter(({ ways }) => ways[way].attemptsAtEnd === 0).length;
      demand(
        blind === 0,
        `control: ${name}: nothing was tried (${WORDS[way]}) at the end of ${blind} trials`,
      );
    }
  }
  for (const [name, found] of [
    ['Lapse', lapse],
    ['etcd', etcd],
  ] as const) {
    const pause = spread(found.map(({ usualPauseMs }) => usualPauseMs)).p50;
    demand(
      pause <= MOST_PAUSE_MS,
      `control: ${name}’s readers paused ${pause} ms, too long for these figures`,
    );
  }
  const left = stillReadable(etcd, 'reopen') + stillReadable(poller, 'reopen');
  demand(
    left === 0,
    `etcd: ${left} files were never removed, so its figures are not those of a watcher that works`,
  );
  return caught;
}

/** Late reads by this way where something is known to be late; for mappings also by the sabotage of Lapse itself. */
function noticed({ outcomes, sabotaged }: Measured, way: Way): number {
  switch (way) {
    case 'reopen':
      return sum(outcomes.poller, way, 'reads');
    case 'held':
      return sum(outcomes.etcd, way, 'reads');
    case 'mapped':
      return sum(sabotaged, way, 'reads');
  }
}

function table({ trials, outcomes, etcdVersion, pollSeconds, lookMs }: Measured): readonly string[] {
  const titles = { lapse: 'Lapse', etcd: 'etcdctl watch', poller: `poller, ${pollSeconds} s` };
  const row = (name: Name, way: Way, i: number): string => {
    const found = outcomes[name];
    const { p50, p99, max } = spread(found.map(({ ways }) => ways[way].lastReadMs));
    const cells = [p50, p99, max].map((ms) => inWords(ms).padStart(13));
    const left = `${stillReadable(found, way)} of ${found.length} after ${lookMs[name] / 1000} s`;
    return `${(i === 0 ? titles[name] : '').padEnd(16)}${WORDS[way].padEnd(16)}${cells.join('')}   ${left}`;
  };
  return [
    `From clock zero to the last successful read, ms. ${trials} trials each, taking turns; the poller ${outcomes.poller.length}, with`,
    `real waits. etcd ${etcdVersion}, Linux ${release()}.`,
    `${''.padEnd(32)}${['p50', 'p99', 'max'].map((head) => head.padStart(13)).join('')}   still readable`,
    ...NAMES.flatMap((name) => WAYS.map((way, i) => row(name, way, i))),
  ];
}

function controls({ outcomes, sabotaged }: Measured, caught: readonly string[]): readonly string[] {
  const late = (found: readonly Outcome[]): string =>
    WAYS.map((way) => `${WORDS[way]} ${sum(found, way, 'reads')} of ${sum(found, way, 'attempts')}`).join(
      ', ',
    );
  const p50 = (name: Name, what: 'effectMs' | 'longestPauseMs'): string =>
    inWords(spread(outcomes[name].map((outcome) => outcome[what])).p50);
  return [
    'Reads that succeeded after that, of attempts:',
    `  Lapse, after its effect on the host (p50 ${p50('lapse', 'effectMs')} ms): ${late(outcomes.lapse)}`,
    `  etcdctl watch, after etcd’s answer (p50 ${p50('etcd', 'effectMs')} ms): ${late(outcomes.etcd)}`,
    `  poller, after etcd’s answer: ${late(outcomes.poller)}`,
    `  the readers’ longest pause meanwhile, p50: Lapse ${p50('lapse', 'longestPauseMs')} ms, etcdctl watch ${p50('etcd', 'longestPauseMs')} ms`,
    `  control, Lapse sabotaged (the kernel is not told), ${sabotaged.length} trials: ${late(sabotaged)}`,
    ...caught.map((sentence) => `CAUGHT: ${sentence}`),
  ];
}

function spread(ms: readonly number[]) {
  const at = (share: number): number => Math.round(percentile(ms, share) * 10) / 10;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** In JSON it is null. */
function inWords(ms: number): string {
  return ms === Infinity ? 'never ended' : ms.toFixed(1);
}

function byWay<T>(of: (way: Way) => T): Record<Way, T> {
  return { reopen: of('reopen'), held: of('held'), mapped: of('mapped') };
}

function sum(found: readonly Outcome[], way: Way, what: 'reads' | 'attempts'): number {
  return found.reduce((total, { ways }) => total + ways[way][what], 0);
}

function stillReadable(found: readonly Outcome[], way: Way): number {
  return found.filter(({ ways }) => ways[way].stillReadable).length;
}
