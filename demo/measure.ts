// From what the reader saw, the operator's command reported and the daemon noted, to the figures of out/demo.json.
import { constants } from 'node:os';
import type { Change, DaemonStatus } from './programs.ts';
import { gapsUs } from './records.ts';
import type { ReadRecord, Way } from './records.ts';
import type { Scan } from './disk-scan.ts';

export interface Figures {
  /** Milliseconds since clock zero; the receipt's, when it was verified at the operator's. */
  readonly rotate: { readonly ms: number; readonly receiptMs: number };
  readonly revoke: {
    readonly ms: number;
    readonly effectMs: number;
    readonly receiptMs: number;
    readonly readsAfterEffect: number;
    /** By which ways those reads succeeded. */
    readonly lateWays: readonly Way[];
  };
  readonly reader: {
    readonly reads: number;
    readonly medianGapUs: number;
    readonly maxGapUs: number;
    readonly aliveAfterMs: number;
  };
  readonly lease: {
    readonly seconds: number;
    /** From the end of the service to the last read that succeeded, by any way. */
    readonly lastReadMs: number;
    readonly readsAfterLease: number;
    readonly attemptsAfterLease: number;
  };
  readonly deniedContainer: { readonly attempts: number; readonly reads: number; readonly errno: string };
  readonly plaintextOnDisk: {
    readonly hits: number;
    readonly filesScanned: number;
    readonly plantedHits: number;
  };
  readonly processMs: { readonly put: number; readonly rotate: number; readonly revoke: number };
}

export interface Observations {
  readonly put: Change;
  readonly rotate: Change;
  readonly revoke: Change;
  /** When the revocation was in effect on the host; CLOCK_MONOTONIC, nanoseconds. */
  readonly effectAt: bigint;
  /** Hash of the value that `rotate` published. */
  readonly newHash: bigint;
  readonly granted: readonly ReadRecord[];
  readonly lease: {
    readonly seconds: number;
    /** When the service was killed; CLOCK_MONOTONIC, nanoseconds. */
    readonly cutAt: bigint;
    /** Of a further version, from before that to well after the lease. */
    readonly records: readonly ReadRecord[];
  };
  readonly denied: readonly ReadRecord[];
  readonly disk: Scan;
  readonly plantedHits: number;
}

export function measure(seen: Observations): Figures {
  const { granted, effectAt } = seen;
  const successes = granted.filter((record) => record.result === 0);
  const firstNew = successes.find((record) => record.way === 'reopen' && record.hash === seen.newHash);
  const lastEnd = successes.reduce((last, record) => (record.end > last ? record.end : last), 0n);
  const late = successes.filter((record) => record.start > effectAt);
  const gaps = gapsUs(granted, 'reopen');
  const { put, rotate, revoke } = seen;
  return {
    rotate: { ms: since(rotate, firstNew?.end ?? 0n), receiptMs: rotate.ms['lastReceipt'] ?? 0 },
    revoke: {
      ms: since(revoke, lastEnd),
      effectMs: since(revoke, effectAt),
      receiptMs: revoke.ms['lastReceipt'] ?? 0,
      readsAfterEffect: late.length,
      lateWays: [...new Set(late.map((record) => record.way))],
    },
    reader: {
      reads: granted.length,
      medianGapUs: Math.round(gaps[gaps.length >> 1] ?? 0),
      maxGapUs: Math.round(gaps.at(-1) ?? 0),
      aliveAfterMs: round(Number((granted.at(-1)?.end ?? 0n) - effectAt) / 1e6),
    },
    lease: leaseFigures(seen.lease),
    deniedContainer: deniedFigures(seen.denied, successes),
    plaintextOnDisk: {
      hits: seen.disk.hits.size,
      filesScanned: seen.disk.files.size,
      plantedHits: seen.plantedHits,
    },
    processMs: { put: put.processMs, rotate: rotate.processMs, revoke: revoke.processMs },
  };
}

/** How much later than the lease the last mapping may go: lapsed looks every 100 ms. */
export const LEASE_MARGIN_MS = 500;

function leaseFigures({ seconds, cutAt, records }: Observations['lease']): Figures['lease'] {
  const successes = records.filter((record) => record.result === 0);
  const lastEnd = successes.reduce((last, record) => (record.end > last ? record.end : last), 0n);
  const over = cutAt + BigInt(seconds * 1000 + LEASE_MARGIN_MS) * 1_000_000n;
  const after = records.filter((record) => record.start > over);
  return {
    seconds,
    lastReadMs: round(Number(lastEnd - cutAt) / 1e6),
    readsAfterLease: after.filter((record) => record.result === 0).length,
    attemptsAfterLease: after.length,
  };
}

/** Only attempts made while the granted sibling read successfully count: then the secret was there to be had. */
function deniedFigures(
  denied: readonly ReadRecord[],
  successes: readonly ReadRecord[],
): Figures['deniedContainer'] {
  const [from, to] = [successes[0]?.start ?? 0n, successes.at(-1)?.start ?? 0n];
  const attempts = denied.filter((record) => record.start > from && record.start < to);
  const errors = new Set(attempts.map((record) => errnoName(record.result)));
  return {
    attempts: attempts.length,
    reads: attempts.filter((record) => record.result === 0).length,
    errno: [...errors].sort().join(' '),
  };
}

function errnoName(errno: number): string {
  return (
    Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ??
    (errno === 0 ? 'none' : String(errno))
  );
}

function since(change: Change, moment: bigint): number {
  return round(Number(moment - BigInt(change.clockZero)) / 1e6);
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** The moment at which a version's withdrawal was in effect, once the daemon has noted it. */
export function withdrawnAt(status: DaemonStatus, version: string): bigint | undefined {
  const effect = status.effects.find((note) => note.version === version && note.change === 'withdrawn');
  return effect && BigInt(effect.effectAt);
}
