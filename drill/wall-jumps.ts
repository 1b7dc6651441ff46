// In a partition that the daemon makes itself, wall clocks jump while its host is cut off: by the file in which lapsed keeps how
// far a drill is, since only there stands when the cut began. Back in time for what is missed then: by a clock that is an
// hour ahead every new timestamp has expired.
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../client/clock.ts';
import type { DrillHost } from './host.ts';

const HOUR_MS = 3_600_000;
/** One ahead, one back, one right; another one in each trial. */
const JUMPS = [HOUR_MS, -HOUR_MS, 0];
const POLL_MS = 50;
/** How long after the lease the clock is wrong, in microseconds. */
const AFTER_LEASE_US = 100_000;

/** By how much the wall clock of a host jumps in a trial, in milliseconds. */
export function jumpOf(host: number, trial: number): number {
  return JUMPS[(host + trial) % JUMPS.length] ?? 0;
}

/** What was seen of a partition that the daemons made themselves. */
export interface Cuts {
  /** How often a wall clock was put wrong. */
  readonly jumps: number;
  /** When each began, by `host@version`, the canary's; microseconds of CLOCK_MONOTONIC. */
  readonly begun: ReadonlyMap<string, number>;
}

/** Until the signal aborts; then all wall clocks are right again. */
export async function jumpWhileCut(
  hosts: readonly DrillHost[],
  clock: Clock,
  signal: AbortSignal,
): Promise<Cuts> {
  const wrong = new Map<DrillHost, number>();
  const begun = new Map<string, number>();
  let jumps = 0;
  while (!signal.aborted) {
    const now = Number(clock.monotonic() / 1000n);
    for (const [i, host] of hosts.entries()) {
      const cut = await cutOf(host);
      if (cut) begun.set(`${host.name}@${cut.version}`, cut.begun);
      const ms = cut && now < cut.leaseEnd + AFTER_LEASE_US ? jumpOf(i, cut.number) : 0;
      if (ms === (wrong.get(host) ?? 0)) continue;
      await host.moveWallClock(ms);
      wrong.set(host, ms);
      if (ms !== 0) jumps += 1;
    }
    await clock.sleep(POLL_MS, signal);
  }
  for (const host of hosts) await host.moveWallClock(0);
  return { jumps, begun };
}

interface Cut {
  readonly number: number;
  readonly version: number;
  /** Microseconds of CLOCK_MONOTONIC. */
  readonly begun: number;
  readonly leaseEnd: number;
}

interface State {
  readonly drill?: {
    readonly trial?: { number: number; version: number; moments: { cut?: number; leaseEnd?: number } };
  } | null;
}

async function cutOf({ places }: DrillHost): Promise<Cut | undefined> {
  const text = await readFile(join(dirname(places.control), 'drill.json'), 'utf8').catch(() => '{}');
  const trial = (JSON.parse(text) as State).drill?.trial;
  const { cut, leaseEnd } = trial?.moments ?? {};
  return trial && cut !== undefined && leaseEnd !== undefined
    ? { ...trial, begun: cut, leaseEnd }
    : undefined;
}
