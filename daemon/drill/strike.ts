// Strikes this host's own server, its serving thread or its holder, for a crash drill that the host's operator allows. A holder
// is never stopped: nobody would continue it. A thread takes no signals of its own, so it does it to itself.
import type { CrashMeans, CrashOrder, CrashVictim } from '../../manifest/realm/drill/order.ts';

export interface Strike {
  readonly victim: CrashVictim;
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
    means.flatMap((how) => (victim === 'holder' && how === 'stop' ? [] : [{ victim, means: how }])),
  );
  const drawn = possible[Math.floor(random() * possible.length)];
  return drawn && { ...drawn, afterMs: random() * withinMs };
}

/** Does not return when it kills this process; `thread` strikes the serving thread. */
export function strike({ victim, means }: Strike, thread: (means: CrashMeans) => void): void {
  if (victim === 'thread') thread(means);
  else
    process.kill(victim === 'holder' ? process.ppid : process.pid, means === 'kill' ? 'SIGKILL' : 'SIGSTOP');
}
