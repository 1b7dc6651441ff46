// Changes to a secret: the next `targets` member reads back as what was asked for, and what is not known stays.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseFileName, parseSecretName, parseWorkload } from '../../../manifest/names.ts';
import { addVersion, revokeThrough, revokeVersion, setGrants } from '../../../manifest/realm/change.ts';
import { isRevoked } from '../../../manifest/realm/revocation.ts';
import { readSecrets } from '../../../manifest/realm/secret.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import { checkSuccession } from '../../../manifest/realm/succession.ts';
import { NOW, PAYMENTS, unsignedTargets } from './repository.ts';

const NAME = parseSecretName('db');
const GRANT = { workload: parseWorkload('web'), file: parseFileName('db'), uid: 1, gid: 2, mode: 0o440 };
const MINUTE = 60_000;

const readAll = (targets: JsonObject) => readSecrets(unsignedTargets(targets), PAYMENTS);
const read = (targets: JsonObject): Secret => readAll(targets).get(NAME)!;
const custom = (targets: JsonObject, version: number): JsonObject =>
  (targets[`payments/db@${version}`] as JsonObject)['custom'] as JsonObject;

function put(targets: JsonObject, { now = NOW, overlapSeconds = 300 } = {}): JsonObject {
  const secret = readAll(targets).get(NAME);
  const version = (secret?.newestVersion ?? 0) + 1;
  const sha256 = version.toString(16).padStart(64, '0');
  const keys = [{ kid: 'k', epoch: 1, jwe: 'j' }];
  const grants = secret?.grants ?? [GRANT];
  const next = { version, length: 296, sha256, keys, grants, overlapSeconds, whenStale: 'deny' as const };
  return addVersion(targets, { namespace: PAYMENTS, name: NAME, secret }, next, now);
}

const one = put({});
const two = put(one);

describe('addVersion', () => {
  test('the first', () => {
    const secret = read(one);
    expect(secret).toMatchObject({ newestVersion: 1, superseded: [], grants: [GRANT], overlapSeconds: 300 });
    expect(secret).toMatchObject({ revokedThrough: 0, revoked: [], newest: { version: 1, length: 296 } });
  });

  test('the next leaves the one before it readable until its overlap ends', () => {
    const { superseded, newestVersion } = read(two);
    expect(newestVersion).toBe(2);
    expect(superseded).toMatchObject([{ version: 1, overlapSeconds: 300, overlapEnd: NOW + 5 * MINUTE }]);
    expect(Object.keys(custom(two, 1))).toEqual(['version', 'timing', 'keys']);
  });

  test('the overlap is what the version before asked for', () => {
    const next = put(put({}, { overlapSeconds: 60 }), { overlapSeconds: 900 });
    expect(read(next)).toMatchObject({
      overlapSeconds: 900,
      superseded: [{ overlapSeconds: 60, overlapEnd: NOW + MINUTE }],
    });
  });

  test('without an overlap the one before goes at once', () => {
    expect(Object.keys(put(put({}, { overlapSeconds: 0 })))).toEqual(['payments/db@2']);
  });

  test('versions whose overlap is over go, exactly at its end', () => {
    expect(Object.keys(put(two, { now: NOW + 5 * MINUTE - 1 }))).toHaveLength(3);
    expect(Object.keys(put(two, { now: NOW + 5 * MINUTE }))).toEqual(['payments/db@2', 'payments/db@3']);
  });

  test('after a tombstone it is live again, over the same floor', () => {
    const next = put(revokeThrough(two, read(two), 2, NOW));
    expect(Object.keys(next)).toEqual(['payments/db@3']);
    expect(read(next)).toMatchObject({ newestVersion: 3, revokedThrough: 2, newest: { version: 3 } });
  });
});

describe('revokeThrough', () => {
  test('the newest becomes a tombstone, and nothing older stays', () => {
    const next = revokeThrough(two, read(two), 2, NOW);
    expect(Object.keys(next)).toEqual(['payments/db@2']);
    expect(custom(next, 2)).not.toHaveProperty('keys');
    expect(read(next)).toMatchObject({ revokedThrough: 2, superseded: [], grants: [GRANT] });
    expect(read(next).newest).toBeUndefined();
  });

  test('below the newest it takes the superseded ones and leaves the newest', () => {
    const next = revokeThrough(two, read(two), 1, NOW);
    expect(Object.keys(next)).toEqual(['payments/db@2']);
    expect(read(next)).toMatchObject({ revokedThrough: 1, newest: { version: 2 } });
  });

  test('it never sinks a floor', () => {
    const dead = revokeThrough(two, read(two), 2, NOW);
    expect(read(revokeThrough(dead, read(dead), 1, NOW)).revokedThrough).toBe(2);
  });

  test('it swallows single numbers', () => {
    const single = revokeVersion(two, read(two), 1, NOW);
    expect(read(revokeThrough(single, read(single), 2, NOW))).toMatchObject({
      revokedThrough: 2,
      revoked: [],
    });
  });
});

describe('revokeVersion', () => {
  test('a superseded one goes alone', () => {
    const next = revokeVersion(put(two), read(put(two)), 1, NOW);
    expect(Object.keys(next)).toEqual(['payments/db@2', 'payments/db@3']);
    expect(read(next)).toMatchObject({ revokedThrough: 0, revoked: [1], superseded: [{ version: 2 }] });
  });

  test('the newest becomes a tombstone, and the superseded one stays', () => {
    const next = revokeVersion(two, read(two), 2, NOW);
    expect(read(next)).toMatchObject({ revoked: [2], superseded: [{ version: 1 }] });
    expect(read(next).newest).toBeUndefined();
  });

  test('what is revoked already changes nothing', () => {
    const dead = revokeVersion(two, read(two), 1, NOW);
    expect(revokeVersion(dead, read(dead), 1, NOW)).toBe(dead);
  });
});

test('setGrants replaces the grants and nothing else', () => {
  const grants = [{ ...GRANT, workload: parseWorkload('api') }];
  const next = setGrants(two, read(two), grants);
  expect(read(next)).toEqual({ ...read(two), grants });
  expect(read(setGrants(two, read(two), []))).toMatchObject({ grants: [] });
});

describe('what this version does not know stays', () => {
  const file = one['payments/db@1'] as JsonObject;
  const timing = { ...(custom(one, 1)['timing'] as JsonObject), later: 1 };
  const newer: JsonObject = {
    'payments/db@1': { ...file, beside: 1, custom: { ...custom(one, 1), responses: 'kill', timing } },
    'payments/other@1': { ...file, beside: 1 },
  };
  const changes: Record<string, (secret: Secret) => JsonObject> = {
    addVersion: () => put(newer),
    revokeThrough: (secret) => revokeThrough(newer, secret, 1, NOW),
    revokeVersion: (secret) => revokeVersion(newer, secret, 1, NOW),
    setGrants: (secret) => setGrants(newer, secret, []),
  };

  test.for(Object.entries(changes))('%s', ([, change]) => {
    const before = structuredClone(newer);
    const next = change(read(newer));
    const newest = custom(next, read(next).newestVersion);
    expect(newest).toMatchObject({ responses: 'kill', timing: { later: 1 } });
    expect(next['payments/db@1']).toHaveProperty('beside', 1);
    expect(next['payments/other@1']).toEqual(newer['payments/other@1']);
    expect(newer).toEqual(before);
  });
});

const GRANTS = ['web', 'api'].map((name) => ({ ...GRANT, workload: parseWorkload(name) }));

test('any sequence of changes stays readable and is a succession', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), overlapSeconds: fc.constantFrom(0, 60, 3600) }),
    fc.record({ kind: fc.constantFrom('through' as const, 'single' as const), back: fc.nat(4) }),
    fc.record({ kind: fc.constant('grants' as const), count: fc.nat(2) }),
  );
  const timed = fc.array(fc.tuple(step, fc.constantFrom(0, 30_000, 3_600_000)), { maxLength: 25 });
  const succeeds = fc.property(timed, (steps) => {
    let [targets, now] = [one, NOW];
    const revoked = new Set<number>();
    for (const [change, wait] of steps) {
      const [secret, before] = [read(targets), readAll(targets)];
      now += wait;
      if (change.kind === 'put') targets = put(targets, { now, overlapSeconds: change.overlapSeconds });
      else if (change.kind === 'grants') targets = setGrants(targets, secret, GRANTS.slice(0, change.count));
      else {
        const version = Math.max(1, secret.newestVersion - change.back);
        revoked.add(version);
        targets = (change.kind === 'through' ? revokeThrough : revokeVersion)(targets, secret, version, now);
      }
      checkSuccession(before, readAll(targets));
      const after = read(targets);
      for (const version of revoked) expect(isRevoked(after, version)).toBe(true);
      expect(after.newest === undefined).toBe(isRevoked(after, after.newestVersion));
    }
  });
  fc.assert(succeeds, { numRuns: 150 });
});
