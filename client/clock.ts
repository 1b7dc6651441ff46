// The one place, for client and daemon, that asks for the time or sets a timer (lint refuses it elsewhere).
// Policy that must survive suspend and clock steps uses `boot`; wall time only meets signed expiry dates.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Wall time, milliseconds since the epoch. */
  now(): number;
  /** CLOCK_BOOTTIME in milliseconds: it runs during suspend and nobody can set it. Good to about 20 ms. */
  boot(): number;
  /** CLOCK_MONOTONIC in nanoseconds, comparable between the processes of one host. */
  monotonic(): bigint;
  /** Milliseconds since this process began. */
  sinceStart(): number;
  /** Resolves after `ms`, or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** A signal that aborts after `ms`. */
  deadline(ms: number): AbortSignal;
  /** Runs `work` every `ms` until disposed; does not keep the process alive. */
  every(ms: number, work: () => void): Disposable;
}

export function systemClock(): Clock {
  const boot = bootClock();
  return {
    now: () => Date.now(),
    boot,
    monotonic: () => process.hrtime.bigint(),
    sinceStart: () => performance.now(),
    sleep: async (ms, signal) => {
      await delay(ms, undefined, signal ? { signal } : {}).catch(() => undefined);
    },
    deadline: (ms) => AbortSignal.timeout(ms),
    every: (ms, work) => {
      const timer = setInterval(work, ms);
      timer.unref();
      return { [Symbol.dispose]: () => clearInterval(timer) };
    },
  };
}

/**
 * Suspend and steps of the wall clock move exactly (wall − monotonic). While that stands still, boot time is
 * monotonic time plus a constant; when it moved by more than 20 ms, /proc/uptime is read again. That keeps the
 * check on every open and read far below a system call's price.
 */
function bootClock(): () => number {
  const file = openSync('/proc/uptime', 'r');
  process.once('exit', () => closeSync(file));
  const text = Buffer.alloc(64);
  const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6;
  const uptime = (): number =>
    parseFloat(text.toString('latin1', 0, readSync(file, text, 0, text.length, 0))) * 1000;
  let offset = 0;
  let lead = Infinity;
  return () => {
    const now = monotonic();
    const wallLead = Date.now() - now;
    if (Math.abs(wallLead - lead) > 20) {
      lead = wallLead;
      offset = uptime() - now;
    }
    return now + offset;
  };
}

/** The kernel's boot id: readings of `monotonic` belong together where it is the same. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

/** Whole microseconds, from a reading of `monotonic`. */
export function microseconds(at: bigint): number {
  return Number(at / 1000n);
}

/** Milliseconds, with one decimal, between two readings of `monotonic`. */
export function milliseconds(from: bigint, to: bigint): number {
  return Math.round(Number(to - from) / 1e5) / 10;
}
