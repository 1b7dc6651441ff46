// Floors: what is revoked stays revoked.
import { expect, test } from 'vitest';
import fc from 'fast-check';
import { covers, isRevoked, raiseFloor } from '../../../manifest/realm/revocation.ts';
import type { Floor } from '../../../manifest/realm/revocation.ts';

const floor: fc.Arbitrary<Floor> = fc
  .tuple(fc.integer({ min: 0, max: 20 }), fc.uniqueArray(fc.integer({ min: 1, max: 40 })))
  .map(([revokedThrough, numbers]) => ({
    revokedThrough,
    revoked: numbers.filter((number) => number > revokedThrough).sort((a, b) => a - b),
  }));
const versions = Array.from({ length: 50 }, (_, i) => i + 1);
const dead = (of: Floor): number[] => versions.filter((version) => isRevoked(of, version));

test('everything up to the floor is revoked, and single numbers above it', () => {
  expect(dead({ revokedThrough: 3, revoked: [5, 7] })).toEqual([1, 2, 3, 5, 7]);
  expect(dead({ revokedThrough: 0, revoked: [] })).toEqual([]);
});

test('one floor covers another exactly if it revokes all that the other does', () => {
  const agrees = fc.property(floor, floor, (next, old) => {
    expect(covers(next, old)).toBe(
      next.revokedThrough >= old.revokedThrough && dead(old).every((v) => isRevoked(next, v)),
    );
  });
  fc.assert(agrees, { numRuns: 500 });
});

test('a lower floor covers nothing, even if single numbers fill the gap', () => {
  expect(covers({ revokedThrough: 1, revoked: [2, 3] }, { revokedThrough: 3, revoked: [] })).toBe(false);
});

test('raising a floor takes back exactly that much more, and never sinks it', () => {
  const raises = fc.property(floor, fc.integer({ min: 0, max: 40 }), (old, through) => {
    const next = raiseFloor(old, through);
    expect(dead(next)).toEqual(versions.filter((version) => version <= through || isRevoked(old, version)));
    expect(covers(next, old)).toBe(true);
    expect(next.revoked.every((number) => number > next.revokedThrough)).toBe(true);
  });
  fc.assert(raises, { numRuns: 500 });
});
