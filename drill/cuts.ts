// The partition from outside: the line of hosts is really cut, a revocation is published meanwhile, and their wall clocks jump an
// hour ahead or back. What counts is what the onlookers read: nothing later than the lease and a margin after the cut,
// also not when the line is mended. Of several hosts one stays connected, another one in each trial: the control.
import type { Onlooker, Sight } from './onlooker.ts';
import type { Outside } from './outside.ts';
import { jumpOf } from './wall-jumps.ts';

/** What the lease is given on top, in milliseconds. */
export const MARGIN_MS = 500;
/** How long reading is tried on, after the last moment at which it may succeed, in milliseconds. */
const SETTLE_MS = 200;

export interface CutSight extends Sight {
  /** From the cut to the end of the last read. */
  readonly lastReadMs: number;
  /** By how much its wall clock jumped. */
  readonly jumpMs: number;
  /** For how long the machine stood still in between. */
  readonly stoodStillMs: number;
}

interface Cut {
  readonly onlooker: Onlooker;
  readonly at: bigint;
  readonly jumpMs: number;
}

/** One trial: what was seen on each host that was cut off. */
export async function cutTrial(
  outside: Outside,
  number: number,
  leaseMs: number,
): Promise<readonly CutSight[]> {
  const { onlookers, clock } = outside;
  await outside.untilServed();
  const version = await outside.put();
  const chosen = onlookers.filter((_, i) => onlookers.length === 1 || i !== number % onlookers.length);
  try {
    const cuts = await Promise.all(chosen.map((onlooker, i) => cut(outside, onlooker, jumpOf(i, number))));
    const { code, said } = await outside.revoke();
    if (code !== 0) throw new Error(`the revocation was not published: ${said}`);
    const most = BigInt(leaseMs + MARGIN_MS) * 1_000_000n;
    for (const { onlooker, at } of cuts) onlooker.effect(at + most);
    const latest = cuts.reduce((end, { at }) => (at + most > end ? at + most : end), 0n);
    const leftMs = Math.max(0, Number(latest - clock.monotonic()) / 1e6);
    await clock.sleep(leftMs + SETTLE_MS, outside.signal);
    await mend(outside);
    await outside.untilServed();
    for (const { onlooker } of cuts) await outside.effectOf(onlooker, version);
    await clock.sleep(SETTLE_MS, outside.signal);
    return await Promise.all(cuts.map((cut) => seenOf(outside, cut)));
  } finally {
    await mend(outside);
  }
}

async function seenOf(outside: Outside, { onlooker, at, jumpMs }: Cut): Promise<CutSight> {
  const sight = await onlooker.sight(outside.patience());
  const { lastRead } = sight;
  const lastReadMs = Number(lastRead - at) / 1e6;
  return { ...sight, lastReadMs, jumpMs, stoodStillMs: outside.stoodStill(at, lastRead) };
}

/** The moment is after it: what the host heard until then has renewed its lease. */
async function cut({ clock }: Outside, onlooker: Onlooker, jumpMs: number): Promise<Cut> {
  await onlooker.host.line?.cut();
  const at = clock.monotonic();
  await onlooker.host.moveWallClock(jumpMs);
  return { onlooker, at, jumpMs };
}

async function mend({ onlookers }: Outside): Promise<void> {
  for (const { host } of onlookers) {
    await host.moveWallClock(0);
    await host.line?.mend();
  }
}
