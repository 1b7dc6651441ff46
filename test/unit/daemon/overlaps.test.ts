// How long a superseded version lives: by the wall clock or by boot time, whichever ends it first.
import { describe, expect, test } from 'vitest';
import { Overlaps } from '../../../daemon/overlaps.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { secret } from './secrets.ts';

const SECONDS = 300;
const rotated = (clock: ManualClock, until = SECONDS) =>
  secret({ newest: 2, superseded: [1], overlap: { seconds: SECONDS, end: clock.now() + until * 1000 } });

/** The living versions after each step of [wall, boot] seconds. */
function lives(until: number, ...steps: readonly (readonly [wall: number, boot: number])[]): number[][] {
  const clock = new ManualClock();
  const overlaps = new Overlaps(clock);
  const old = rotated(clock, until);
  overlaps.living(old);
  return steps.map(([wall, boot]) => {
    clock.wall += wall * 1000;
    clock.passBoot(boot * 1000);
    return overlaps.living(old).map(({ version }) => version);
  });
}

test('newest first, and superseded ones while they live', () => {
  expect(lives(SECONDS, [0, 0], [299, 299], [1, 1])).toEqual([[2, 1], [2, 1], [2]]);
});

test('the wall clock ends it when boot time has not', () => {
  expect(lives(SECONDS, [299, 0], [1, 0])).toEqual([[2, 1], [2]]);
  expect(lives(100, [99, 99], [1, 1])).toEqual([[2, 1], [2]]);
});

test('boot time ends it when the wall clock was set back', () => {
  expect(lives(SECONDS, [-3600, 299], [0, 1])).toEqual([[2, 1], [2]]);
  expect(lives(86_400, [0, 299], [0, 1])).toEqual([[2, 1], [2]]);
});

test('an end that has passed already', () => {
  expect(lives(-1, [0, 0])).toEqual([[2]]);
});

test('a secret without superseded versions, or without any', () => {
  const overlaps = new Overlaps(new ManualClock());
  expect(overlaps.living(secret()).map(({ version }) => version)).toEqual([1]);
  expect(overlaps.living(secret({ tombstone: true }))).toEqual([]);
});

describe('the length counts from when this host first saw it', () => {
  const clock = new ManualClock();
  const overlaps = new Overlaps(clock);
  const old = rotated(clock, 86_400);
  const versions = (): number[] => overlaps.living(old).map(({ version }) => version);

  test('asking again does not begin it anew, as long as it is listed', () => {
    versions();
    clock.passBoot(200_000);
    versions();
    overlaps.keep(new Set(old.superseded.map(({ path }) => path)));
    clock.passBoot(100_000);
    expect(versions()).toEqual([2]);
  });

  test('what nothing lists any more is forgotten', () => {
    overlaps.keep(new Set());
    expect(versions()).toEqual([2, 1]);
  });
});
