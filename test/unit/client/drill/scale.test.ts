// Axes: ticks at round numbers, few enough to be read, around everything that is shown.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lengthScale, positionScale } from '../../../../client/drill/html/scale.ts';

const ROOM = { from: 100, to: 600 };

test.for<[number, readonly number[]]>([
  [21.6, [0, 5, 10, 15, 20, 25]],
  [3000, [0, 500, 1000, 1500, 2000, 2500, 3000]],
  [0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5]],
  [0, [0, 0.02, 0.04, 0.06, 0.08, 0.1]],
])('lengths to %d', ([most, ticks]) => expect(lengthScale(most, ROOM).ticks).toEqual(ticks));

test('positions need no zero', () => {
  expect(positionScale(2946, 2984, ROOM).ticks).toEqual([2940, 2950, 2960, 2970, 2980, 2990]);
  expect(positionScale(5, 5, ROOM).ticks).toHaveLength(6);
});

test('a wide span is logarithmic', () => {
  const scale = positionScale(4, 900, ROOM);
  expect(scale.isLog).toBe(true);
  expect(scale.ticks).toEqual([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]);
  expect(scale.at(1)).toBe(100);
  expect(scale.at(1000)).toBe(600);
  expect(scale.at(0)).toBe(100);
  expect(positionScale(0, 100_000, ROOM).ticks).toEqual([0.01, 0.1, 1, 10, 100, 1000, 10_000, 100_000]);
});

test('every value has a place, in order, between the first tick and the last', () => {
  const value = fc.double({ min: 0, max: 1e7, noNaN: true });
  fc.assert(
    fc.property(value, value, (a, b) => {
      const [least, most] = [Math.min(a, b), Math.max(a, b)];
      for (const scale of [lengthScale(most, ROOM), positionScale(least, most, ROOM)]) {
        expect(scale.ticks.length).toBeGreaterThan(1);
        expect(scale.ticks.length).toBeLessThan(15);
        const [from, to] = [scale.at(least), scale.at(most)];
        expect(from).toBeGreaterThanOrEqual(100);
        expect(to).toBeLessThanOrEqual(600);
        expect(from).toBeLessThanOrEqual(to);
        expect(scale.ticks.at(-1)).toBeGreaterThanOrEqual(most * (1 - 1e-9));
      }
    }),
  );
});
