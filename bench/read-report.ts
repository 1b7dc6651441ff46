// From what `bench -- read` measured to its lines and its JSON.
import { release } from 'node:os';
import { percentile } from './findings.ts';
import type { Findings } from './findings.ts';
import { ENTRIES } from './static-tree.ts';
import type { Counts } from './subject.ts';
import { median, rounded, spread } from './timer.ts';
import type { Rounds, Times } from './timer.ts';

export type Name = 'tmpfs' | 'libfuse3' | 'lapse' | 'lapseCached' | 'fuseNative';
export type Cached = 'libfuse3' | 'lapse' | 'lapseCached';
export type Threaded = 'libfuse3' | 'lapse' | 'lapseTwoThreads';

/** How often it is done while requests are counted. */
export const COUNTED = 100;
const WIDTH = 16;

/** Of COUNTED times open, read and close; of as many times open, list and close. */
export interface Requests {
  readonly file: Counts;
  readonly directory: Counts;
}

export interface Measured {
  readonly requests: Readonly<Record<Cached, Requests>>;
  readonly small: Rounds<Name>;
  readonly sizes: Readonly<Record<string, Rounds<Name>>>;
  readonly listing: Rounds<Name>;
  /** By the number of readers. */
  readonly oneCpu: Readonly<Record<number, Rounds<Cached>>>;
  readonly allCpus: Readonly<Record<number, Rounds<Threaded>>>;
}

interface Ratio {
  readonly vsLibfuse3: number;
  readonly vsFuseNative: number;
  readonly cachedVsLibfuse3: number;
}

interface Target {
  readonly target: string;
  readonly found: number;
  readonly reached: boolean;
}

export function report(measured: Measured): Findings {
  const { requests, small, sizes, listing, oneCpu, allCpus } = measured;
  const us = mapValues(small, (times) => median(times));
  const ratios = {
    vsLibfuse3: roundByRound(small.lapse, small.libfuse3),
    vsFuseNative: roundByRound(small.fuseNative, small.lapse),
    cachedVsLibfuse3: roundByRound(small.lapseCached, small.libfuse3),
  };
  const ratio = mapValues(ratios, ({ p50 }) => p50);
  const targets = judge(ratio, requests);
  const json = {
    us,
    spread: mapValues(small, spread),
    ratio,
    ratioSpread: ratios,
    ratioOfMedians: {
      vsLibfuse3: rounded(us.lapse / us.libfuse3),
      vsFuseNative: rounded(us.fuseNative / us.lapse),
      cachedVsLibfuse3: rounded(us.lapseCached / us.libfuse3),
    },
    targets,
    requests: { of: COUNTED, ...requests },
    sizes: mapValues(sizes, summary),
    readdir: { entries: ENTRIES, ...summary(listing) },
    parallel: {
      oneCpu: mapValues(oneCpu, (rounds) => mapValues(rounds, shared)),
      allCpus: mapValues(allCpus, (rounds) => mapValues(rounds, shared)),
    },
    machine: { kernel: release(), node: process.version },
  };
  const inParallel = (rounds: Readonly<Record<number, Rounds<string>>>): string[] =>
    table(mapValues(rounds, (byName) => mapValues(byName, shareOfTime)));
  const lines = [
    `Requests of ${COUNTED} times open + read + close:`,
    ...list(mapValues(requests, ({ file }) => inWords(file))),
    `Requests of ${COUNTED} times a directory opened, listed and closed:`,
    ...list(mapValues(requests, ({ directory }) => inWords(directory))),
    `open + read + close of a small file, one CPU, µs, median of ${small.lapse.length} interleaved rounds (least to most):`,
    ...list(mapValues(small, withSpread)),
    'The same by size, read at once, µs:',
    ...table(mapValues(sizes, (rounds) => mapValues(rounds, (times) => median(times).toFixed(1)))),
    `A directory of ${ENTRIES} entries, opened, listed and closed, µs:`,
    ...list(mapValues(listing, withSpread)),
    'Parallel readers, all on one CPU, µs per operation (and what its reader waits for it):',
    ...inParallel(oneCpu),
    'Parallel readers, nothing pinned:',
    ...inParallel(allCpus),
    'Targets (a ratio is the median of the ratios within each round):',
    ...targets.map(({ target, found, reached }) => `${reached ? 'reached' : 'MISSED '}  ${target}: ${found}`),
  ];
  return { lines, json };
}

function judge(ratio: Ratio, { libfuse3, lapse }: Measured['requests']): Target[] {
  const different = differences(libfuse3.file, lapse.file) + differences(libfuse3.directory, lapse.directory);
  const target = (what: string, found: number, reached: boolean): Target => ({
    target: what,
    found,
    reached,
  });
  return [
    target('kinds of requests that C and ours got in different numbers: none', different, different === 0),
    target('ours / C, same round trips, at most 1.10', ratio.vsLibfuse3, ratio.vsLibfuse3 <= 1.1),
    target('ours with lasting names / C, below 1', ratio.cachedVsLibfuse3, ratio.cachedVsLibfuse3 < 1),
    target('fuse-native / ours, at least 2.5', ratio.vsFuseNative, ratio.vsFuseNative >= 2.5),
  ];
}

function differences(one: Counts, other: Counts): number {
  return Object.keys({ ...one, ...other }).filter((kind) => one[kind] !== other[kind]).length;
}

function summary<Key extends string>(rounds: Rounds<Key>) {
  return { us: mapValues(rounds, (times) => median(times)), spread: mapValues(rounds, spread) };
}

function shared(times: readonly Times[]) {
  const us = median(times);
  return {
    us,
    latencyUs: median(times, 'latencyUs'),
    perSecond: Math.round(1e6 / us),
    spread: spread(times),
  };
}

/**
 * The ratio within each round, of which the median is what we claim: on a machine that others use, too, the medians of
 * different moments differ more than the two of one moment.
 */
function roundByRound(of: readonly Times[], by: readonly Times[]) {
  const ratios = of.map(({ us }, round) => us / (by[round]?.us ?? NaN));
  const share = (part: number): number => rounded(percentile(ratios, part));
  return { p25: share(0.25), p50: share(0.5), p75: share(0.75) };
}

function mapValues<Key extends string | number, From, To>(
  values: Readonly<Record<Key, From>>,
  change: (value: From) => To,
): Record<Key, To> {
  const entries = Object.entries(values) as [Key, From][];
  return Object.fromEntries(entries.map(([key, value]) => [key, change(value)])) as Record<Key, To>;
}

/** One line a name. */
function list(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).map(([name, text]) => `  ${name.padEnd(WIDTH)}${text}`);
}

/** One line a row, one column a name. */
function table(rows: Readonly<Record<string, Readonly<Record<string, string>>>>): string[] {
  const line = (first: string, cells: readonly string[]): string =>
    `  ${first.padEnd(8)}${cells.map((cell) => cell.padStart(WIDTH + 4)).join('')}`;
  const names = Object.keys(Object.values(rows)[0] ?? {});
  return [
    line('', names),
    ...Object.entries(rows).map(([row, cells]) =>
      line(
        row,
        names.map((name) => cells[name] ?? ''),
      ),
    ),
  ];
}

function inWords(counts: Counts): string {
  return Object.entries(counts)
    .map(([kind, times]) => `${kind} ${times}`)
    .join('  ');
}

function shareOfTime(times: readonly Times[]): string {
  return `${median(times).toFixed(1)} (${median(times, 'latencyUs').toFixed(0)})`;
}

function withSpread(times: readonly Times[]): string {
  const { least, most } = spread(times);
  return `${median(times).toFixed(1).padStart(8)}  (${least.toFixed(1)} to ${most.toFixed(1)})`;
}
