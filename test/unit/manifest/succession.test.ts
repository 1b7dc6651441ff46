// What a namespace may never do to its version before, whoever signed it.
import { describe, expect, test } from 'vitest';
import { parseSecretName } from '../../../manifest/names.ts';
import { readSecrets } from '../../../manifest/realm/secret.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import { checkSuccession, liveVersions } from '../../../manifest/realm/succession.ts';
import { PAYMENTS, codeOf, unsignedTargets } from './repository.ts';

interface Shape {
  readonly newest: number;
  readonly superseded?: readonly number[];
  readonly floor?: number;
  readonly revoked?: readonly number[];
  /** The first hexadecimal digit of every sha256. */
  readonly bytes?: string;
}

/** One secret `db`, read from a role of that shape; live unless its floor says otherwise. */
function secrets({
  newest,
  superseded = [],
  floor = 0,
  revoked = [],
  bytes = 'a',
}: Shape): ReadonlyMap<never, Secret> {
  const keys = [{ kid: 'k', epoch: 1, jwe: 'j' }];
  const file = (version: number, custom: object) => [
    `payments/db@${version}`,
    {
      length: 1,
      hashes: { sha256: bytes + String(version).padStart(63, '0') },
      custom: { version, ...custom },
    },
  ];
  const overlap = { seconds: 60 };
  const dead = newest <= floor || revoked.includes(newest);
  const state = {
    grants: [],
    timing: { overlap },
    revokedThrough: floor,
    revoked,
    ...(dead ? {} : { keys }),
  };
  const targets = Object.fromEntries([
    file(newest, state),
    ...superseded.map((version) =>
      file(version, { timing: { overlap: { ...overlap, end: '2026-01-31T12:00:00Z' } }, keys }),
    ),
  ]) as never;
  return readSecrets(unsignedTargets(targets), PAYMENTS) as never;
}

const none = readSecrets(unsignedTargets({}), PAYMENTS);
const check = (old: Shape, next: Shape): string | undefined =>
  codeOf(() => checkSuccession(secrets(old), secrets(next)));

describe('allowed', () => {
  test.for<[string, Shape, Shape]>([
    ['nothing changes', { newest: 3 }, { newest: 3 }],
    ['a rotation', { newest: 3 }, { newest: 4, superseded: [3] }],
    ['a rotation without overlap', { newest: 3 }, { newest: 4 }],
    ['versions are skipped', { newest: 3 }, { newest: 9, superseded: [7, 3] }],
    ['an overlap ends', { newest: 3, superseded: [2] }, { newest: 3 }],
    ['a revocation of the newest', { newest: 3 }, { newest: 3, floor: 3 }],
    ['a revocation of one', { newest: 3 }, { newest: 3, revoked: [3] }],
    ['a floor swallows single numbers', { newest: 3, revoked: [2] }, { newest: 3, floor: 2 }],
    ['a live version after a tombstone', { newest: 3, floor: 3 }, { newest: 4, floor: 3 }],
  ])('%s', ([, old, next]) => {
    expect(check(old, next)).toBeUndefined();
  });

  test('a new secret', () => {
    expect(codeOf(() => checkSuccession(none, secrets({ newest: 5 })))).toBeUndefined();
  });
});

describe('refused', () => {
  test.for<[string, string, Shape, Shape]>([
    ['version-rollback', 'an older newest', { newest: 3 }, { newest: 2 }],
    ['version-rollback', 'an older newest as a tombstone', { newest: 3 }, { newest: 2, floor: 2 }],
    ['floor-sank', 'a lower floor', { newest: 3, floor: 2 }, { newest: 3, floor: 1 }],
    ['floor-sank', 'a revoked number that is forgotten', { newest: 3, revoked: [2] }, { newest: 3 }],
    ['floor-sank', 'a tombstone that lives again', { newest: 3, floor: 3 }, { newest: 3, floor: 2 }],
    [
      'floor-sank',
      'a floor replaced by single numbers',
      { newest: 3, floor: 2 },
      { newest: 3, revoked: [1, 2] },
    ],
    ['floor-sank', 'a higher version over a lower floor', { newest: 3, floor: 3 }, { newest: 4, floor: 2 }],
    ['version-reused', 'other bytes behind the newest', { newest: 3 }, { newest: 3, bytes: 'b' }],
    [
      'version-reused',
      'other bytes behind a superseded one',
      { newest: 3, superseded: [2] },
      { newest: 4, superseded: [2], bytes: 'b' },
    ],
    ['version-reused', 'a withdrawn version comes back', { newest: 3 }, { newest: 3, superseded: [2] }],
    [
      'version-reused',
      'a skipped version is filled in',
      { newest: 3, superseded: [1] },
      { newest: 4, superseded: [2] },
    ],
  ])('%s: %s', ([code, , old, next]) => {
    expect(check(old, next)).toBe(code);
  });

  test('secret-vanished: a secret that is no longer listed, even after its tombstone', () => {
    for (const old of [secrets({ newest: 3 }), secrets({ newest: 3, floor: 3 })]) {
      expect(codeOf(() => checkSuccession(old, none))).toBe('secret-vanished');
    }
  });
});

test('live versions stand newest first, without the tombstone', () => {
  const db = parseSecretName('db') as never;
  expect(
    liveVersions(secrets({ newest: 4, superseded: [2, 3] }).get(db)!).map(({ version }) => version),
  ).toEqual([4, 3, 2]);
  expect(
    liveVersions(secrets({ newest: 4, superseded: [3], revoked: [4] }).get(db)!).map(
      ({ version }) => version,
    ),
  ).toEqual([3]);
});
