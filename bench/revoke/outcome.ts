// From what one reader saw around one act of taking back, to what is said of each of its ways. Pure.
import { gapsUs } from '../../demo/records.ts';
import type { ReadRecord, Way } from '../../demo/records.ts';
import type { TakenBack } from './subject.ts';

export const WAYS: readonly Way[] = ['reopen', 'held', 'mapped'];

export interface WayOutcome {
  /** From clock zero to the end of the last successful read; Infinity when it could still be read at the end. */
  readonly lastReadMs: number;
  /** Attempts that began after the effect, and how many of them succeeded. */
  readonly attempts: number;
  readonly reads: number;
  /** Attempts that began when the look was over. Without one, `stillReadable` says nothing. */
  readonly attemptsAtEnd: number;
  readonly stillReadable: boolean;
}

export interface Outcome {
  /** From clock zero. */
  readonly effectMs: number;
  /** Between two attempts: at the median, and at most while it was taken back. How good the figures are. */
  readonly usualPauseMs: number;
  readonly longestPauseMs: number;
  readonly ways: Readonly<Record<Way, WayOutcome>>;
}

/** `lookMs`: how long after clock zero a way that can still be read counts as left open. */
export function outcomeOf(records: readonly ReadRecord[], taken: TakenBack, lookMs: number): Outcome {
  const of = (way: Way): WayOutcome => {
    const own = records.filter((record) => record.way === way);
    return wayOutcome(own, taken, lookMs);
  };
  const gaps = gapsUs(records, 'reopen');
  return {
    effectMs: msBetween(taken.zero, taken.effect),
    usualPauseMs: (gaps[gaps.length >> 1] ?? Infinity) / 1000,
    longestPauseMs: longestPause(
      records.filter(({ way }) => way === 'reopen'),
      taken,
    ),
    ways: { reopen: of('reopen'), held: of('held'), mapped: of('mapped') },
  };
}

function wayOutcome(records: readonly ReadRecord[], { zero, effect }: TakenBack, lookMs: number): WayOutcome {
  const end = zero + BigInt(lookMs) * 1_000_000n;
  const succeeded = ({ result }: ReadRecord): boolean => result === 0;
  const after = records.filter(({ start }) => start > effect);
  const atEnd = records.filter(({ start }) => start > end);
  const stillReadable = atEnd.some(succeeded);
  const last = records.findLast(succeeded);
  if (!last) throw new Error('a way by which nothing was ever read');
  return {
    lastReadMs: stillReadable ? Infinity : msBetween(zero, last.end),
    attempts: after.length,
    reads: after.filter(succeeded).length,
    attemptsAtEnd: atEnd.length,
    stillReadable,
  };
}

/** From the last attempt before clock zero to the first after the effect. */
function longestPause(records: readonly ReadRecord[], { zero, effect }: TakenBack): number {
  const starts = records.map(({ start }) => start);
  const [before, after] = [starts.findLastIndex((at) => at <= zero), starts.findIndex((at) => at >= effect)];
  if (before < 0 || after < 0) return Infinity;
  const around = starts.slice(before, after + 1);
  return Math.max(...around.slice(1).map((at, i) => msBetween(around[i] ?? at, at)));
}

function msBetween(from: bigint, to: bigint): number {
  return Number(to - from) / 1e6;
}
