// What a run of `npm run drill` found: the figures of the drill's own report, and what onlookers saw when this machine itself cut
// lines or struck the service. It passed if both did: each zero with its control.
import { cpus } from 'node:os';
import { tableLines } from '../client/drill/table.ts';
import type { CutSight } from './cuts.ts';
import { MARGIN_MS } from './cuts.ts';
import type { Judged, Report } from './judge.ts';
import type { Sight } from './onlooker.ts';
import type { Options } from './options.ts';
import type { Outage } from './outages.ts';

/** Trials that this machine made from outside, by number. */
export interface FromOutside {
  readonly cuts?: readonly (readonly CutSight[])[];
  readonly outages?: readonly Outage[];
}

export interface Result {
  readonly json: object;
  /** For a person, one line each. */
  readonly lines: readonly string[];
  /** One sentence for each promise that was broken, or that this run could not have seen broken. */
  readonly problems: readonly string[];
}

/** How often a lapsed was started again, and a wall clock put wrong while its host was cut off by itself. */
export interface Harm {
  readonly restarts: number;
  readonly wallClockJumps: number;
}

export function resultOf(
  options: Options,
  { summary, record }: Report,
  { problems: found, excused }: Judged,
  { cuts, outages }: FromOutside,
  { restarts, wallClockJumps }: Harm,
): Result {
  const partition = cuts && ofCuts(cuts, options.leaseS);
  const crash = outages && ofOutages(outages);
  const problems = [
    ...found,
    ...(partition ? judge(partition, 'lines were cut') : []),
    ...(partition?.late ?? []),
    ...(partition && options.sabotage === undefined && wallClockJumps === 0
      ? ['control: no wall clock jumped while its host was cut off']
      : []),
    ...(crash ? judge(crash, 'the service was struck') : []),
  ];
  const { kind, trials, hosts, ms, readsAfterEffect, readsAfterReceipt, attemptsAfter, bound, slo } = summary;
  const { delayMs, sabotage } = options;
  const json = {
    ...{ kind, trials, hosts, ms, readsAfterEffect, readsAfterReceipt, attemptsAfter, bound, slo },
    ...(partition ? { wallClockJumps, cutFromOutside: partition } : {}),
    ...(crash ? { serviceStruck: crash, restarts } : {}),
    ...(excused.length > 0 ? { excused } : {}),
    pass: problems.length === 0,
    ...(sabotage === undefined ? {} : { sabotage }),
    environment: {
      ...record.environment,
      machine: `${cpus().length} CPUs, all hosts and the service on it`,
      network: delayMs === undefined ? 'loopback' : networkOf(delayMs),
    },
  };
  const lines = [
    ...tableLines(summary, record),
    ...excused.map((what) => `excused: ${what}`),
    ...cutLines(partition),
    ...crashLines(crash),
  ];
  return { json, lines, problems };
}

function networkOf(delayMs: number): string {
  const delay = delayMs === 0 ? '' : `, ${delayMs} ms each way added by a relay in user space`;
  return `a namespace for each host${delay}`;
}

interface Counts {
  readonly trials: number;
  readonly readsAfterEffect: number;
  readonly attemptsAfter: number;
  /** Of which host of which trial an onlooker would have noticed nothing. */
  readonly blind: number;
}

type CutFigures = Counts & {
  readonly leaseMs: number;
  readonly promisedMs: number;
  readonly worstMs: number;
  /** One sentence for each read that came too late, though the machine ran. */
  readonly late: readonly string[];
  /** For how long it stood still, where it did. */
  readonly stoodStillMs?: number;
};
type CrashFigures = Counts & { readonly killed: number; readonly stopped: number; readonly worstMs: number };

function counts(trials: readonly (readonly Sight[])[]): Counts {
  const sights = trials.flat();
  const total = (of: (sight: Sight) => number): number => sights.reduce((sum, sight) => sum + of(sight), 0);
  return {
    trials: trials.length,
    readsAfterEffect: total(({ late }) => late),
    attemptsAfter: total(({ attemptsAfter }) => attemptsAfter),
    blind: sights.filter(({ lastRead, attemptsAfter }) => lastRead === 0n || attemptsAfter === 0).length,
  };
}

function ofCuts(cuts: readonly (readonly CutSight[])[], leaseS: number): CutFigures {
  const leaseMs = leaseS * 1000;
  const promisedMs = leaseMs + MARGIN_MS;
  const isInTime = ({ lastReadMs, stoodStillMs }: CutSight): boolean =>
    lastReadMs <= promisedMs + stoodStillMs;
  const stoodStillMs = most(cuts.flat().map((sight) => sight.stoodStillMs));
  return {
    // A read after the effect that was late by a standstill alone is none.
    ...counts(cuts.map((sights) => sights.map((sight) => (isInTime(sight) ? { ...sight, late: 0 } : sight)))),
    leaseMs,
    promisedMs,
    worstMs: most(cuts.flat().map(({ lastReadMs }) => lastReadMs)),
    late: cuts
      .flat()
      .filter((sight) => !isInTime(sight))
      .map(lateSentence),
    ...(stoodStillMs > 0 ? { stoodStillMs } : {}),
  };
}

function lateSentence({ host, lastReadMs, stoodStillMs }: CutSight): string {
  const [late, still] = [lastReadMs, stoodStillMs].map((ms) => ms.toFixed(0));
  return `a read ended ${late} ms after the line of ${host} was cut, and the machine stood still for ${still} ms of it`;
}

function ofOutages(outages: readonly Outage[]): CrashFigures {
  return {
    ...counts(outages.map(({ sights }) => sights)),
    killed: outages.filter(({ means }) => means === 'kill').length,
    stopped: outages.filter(({ means }) => means === 'stop').length,
    worstMs: most(outages.flatMap(({ sights }) => sights.map(({ struckToEffectMs }) => struckToEffectMs))),
  };
}

function judge({ readsAfterEffect, blind, trials }: Counts, when: string): readonly string[] {
  return [
    ...(readsAfterEffect > 0 ? [`${readsAfterEffect} reads succeeded after the effect when ${when}`] : []),
    ...(blind > 0 ? [`control: ${blind} onlookers had nothing to see when ${when}`] : []),
    ...(trials === 0 ? [`control: no trial was made in which ${when}`] : []),
  ];
}

function cutLines(figures: CutFigures | undefined): readonly string[] {
  if (!figures) return [];
  const { trials, worstMs, promisedMs, readsAfterEffect, attemptsAfter } = figures;
  return [
    `Lines cut from outside, wall clocks jumped by an hour: ${trials} trials; the last read at most ${worstMs} ms`,
    `after the cut, promised ${promisedMs} ms; then ${readsAfterEffect} reads in ${attemptsAfter} attempts.`,
  ];
}

function crashLines(figures: CrashFigures | undefined): readonly string[] {
  if (!figures) return [];
  const { killed, stopped, worstMs, readsAfterEffect, attemptsAfter } = figures;
  return [
    `The service killed ${killed} times and stopped ${stopped} times around a revocation: in effect at most ${worstMs} ms`,
    `after the strike; then ${readsAfterEffect} reads in ${attemptsAfter} attempts.`,
  ];
}

function most(values: readonly number[]): number {
  return Math.round(Math.max(0, ...values) * 10) / 10;
}
