// Strikes this host's own server or its holder, for a crash drill that the host's operator allows. A holder is never stopped:
// nobody would continue it. A single thread cannot be struck from here.
import type { CrashMeans, CrashOrder, CrashVictim } from '../../manifest/realm/drill/order.ts';

export interface Strike {
  readonly victim: Exclude<CrashVictim, 'thread'>;
  readonly means: CrashMeans;
  /** Milliseconds after the host has said that it is armed. */
  readonly afterMs: number;
}

/** One of those that the order allows; undefined when it allows none that can be. `random` is at least 0, and below 1. */
export function drawStrike(
  { victims, means, withinMs }: CrashOrder,
  random: () => number,
): Strike | undefined {
  const possible = victims.flatMap((victim) =>
    victim === 'thread'
      ? []
      : means.flatMap((how) => (victim === 'holder' && how === 'stop' ? [] : [{ victim, means: how }])),
  );
  const drawn = possible[Math.floor(random() * possible.length)];
  return drawn && { ...drawn, afterMs: random() * withinMs };
}

/** Does not return when it kills this process. */
export function strike({ victim, means }: Strike): void {
  process.kill(victim === 'holder' ? process.ppid : process.pid, means === 'kill' ? 'SIGKILL' : 'SIGSTOP');
}
