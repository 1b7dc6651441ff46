// The one place in service/ that asks for the time or sets a timer; everything else is handed a Clock, so that a
// test can move it. Timers never keep the process alive.
import { readFileSync } from 'node:fs';

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** CLOCK_MONOTONIC in whole microseconds: differences of it say how long something took here, and nothing about elsewhere. */
  monotonicUs(): number;
  /** The kernel's boot id: two readings of `monotonicUs` belong together when it is the same. */
  readonly bootId: string;
  /** Calls `tick` every so many milliseconds until disposed of. */
  every(milliseconds: number, tick: () => void): Disposable;
  sleep(milliseconds: number): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicUs: () => Number(process.hrtime.bigint() / 1000n),
  bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim(),
  every(milliseconds, tick) {
    const timer = setInterval(tick, milliseconds).unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  },
  sleep: (milliseconds) => new Promise((resolve) => void setTimeout(resolve, milliseconds).unref()),
};
