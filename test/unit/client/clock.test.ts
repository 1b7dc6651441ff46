// The one real clock: boot time runs forward and agrees with the kernel, and waiting can be called off.
import { readFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { milliseconds, systemClock } from '../../../client/clock.ts';

const clock = systemClock();
/** A machine may stand still between two looks, but not for that long; the steps that are told apart from it are of an hour. */
const A_WHILE = 60_000;
const uptime = (): number => parseFloat(readFileSync('/proc/uptime', 'latin1')) * 1000;

afterEach(() => {
  vi.restoreAllMocks();
});

test('boot time never goes back', () => {
  let last = clock.boot();
  let steps = 0;
  for (let i = 0; i < 100_000; i++) {
    const now = clock.boot();
    if (now < last) steps++;
    last = now;
  }
  expect(steps).toBe(0);
});

test('boot time is the kernel’s, to its hundredth of a second and a little', () => {
  const [before, now, after] = [uptime(), clock.boot(), uptime()];
  expect(now).toBeGreaterThan(before - 30);
  expect(now).toBeLessThan(after + 30);
});

test.for([3600_000, -3600_000])('a step of the wall clock by %i ms does not move boot time', (step) => {
  const before = clock.boot();
  const real = Date.now;
  vi.spyOn(Date, 'now').mockImplementation(() => real() + step);
  expect(Math.abs(clock.boot() - before)).toBeLessThan(A_WHILE);
});

test('a suspend moves boot time: the monotonic clock stood still, the kernel tells', () => {
  clock.boot();
  const real = process.hrtime.bigint.bind(process.hrtime);
  const asleep = 3600_000_000_000n;
  // Seen from after the suspend: the monotonic clock is an hour behind.
  vi.spyOn(process.hrtime, 'bigint').mockImplementation(() => real() - asleep);
  expect(Math.abs(clock.boot() - uptime())).toBeLessThan(A_WHILE);
});

test('monotonic time is in nanoseconds, and a span of it in tenths of a millisecond', () => {
  const start = clock.monotonic();
  expect(clock.monotonic()).toBeGreaterThanOrEqual(start);
  expect(milliseconds(1_000_000n, 3_449_999n)).toBe(2.4);
  expect(milliseconds(1_000_000n, 3_450_000n)).toBe(2.5);
});

test('a sleep ends at once when it is called off', async () => {
  await clock.sleep(60_000, AbortSignal.abort());
  const ending = new AbortController();
  const sleep = clock.sleep(60_000, ending.signal);
  ending.abort();
  await sleep;
  await clock.sleep(1);
});

test('an interval runs until it is disposed', async () => {
  let runs = 0;
  {
    using _timer = clock.every(1, () => runs++);
    await vi.waitFor(() => expect(runs).toBeGreaterThan(1), { timeout: 10_000 });
  }
  const after = runs;
  await clock.sleep(10);
  expect(runs).toBe(after);
});
