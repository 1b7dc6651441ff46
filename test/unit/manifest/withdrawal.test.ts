// What becomes of a secret when its revoker took something back, and how its namespace catches up with that.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseFileName, parseSecretName, parseWorkload } from '../../../manifest/names.ts';
import type { Workload } from '../../../manifest/names.ts';
import { addVersion, catchUp, setGrants } from '../../../manifest/realm/change.ts';
import { isRevoked } from '../../../manifest/realm/revocation.ts';
import { NOTHING_WITHDRAWN, withdrawnFrom } from '../../../manifest/realm/revoker.ts';
import type { Withdrawal } from '../../../manifest/realm/revoker.ts';
import { readSecrets, readers } from '../../../manifest/realm/secret.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import { checkSuccession, liveVersions } from '../../../manifest/realm/succession.ts';
import { NOW, PAYMENTS, unsignedTargets } from './repository.ts';

const DB = parseSecretName('db');
const [WEB, BATCH] = ['web', 'batch'].map(parseWorkload) as [Workload, Workload];
const GRANTS = [WEB, BATCH].map((workload) => ({
  workload,
  file: parseFileName('db'),
  uid: 0,
  gid: 0,
  mode: 0o400,
}));

const readAll = (targets: JsonObject) => readSecrets(unsignedTargets(targets), PAYMENTS);
const read = (targets: JsonObject): Secret => readAll(targets).get(DB)!;

function put(targets: JsonObject, name = DB, from = readAll(targets).get(name)): JsonObject {
  const version = (from?.newestVersion ?? 0) + 1;
  const next = {
    version,
    length: 296,
    sha256: version.toString(16).padStart(64, '0'),
    keys: [{ kid: 'k', epoch: 1, jwe: 'j' }],
    grants: GRANTS,
    overlapSeconds: 300,
    whenStale: 'deny' as const,
  };
  return addVersion(targets, { namespace: PAYMENTS, name, secret: from }, next, NOW);
}

/** Versions 1, 2 and 3, of which 3 is the newest. */
const three = put(put(put({})));
const taking = (change: Partial<Withdrawal>): Withdrawal => ({ ...NOTHING_WITHDRAWN, ...change });
const after = (change: Partial<Withdrawal>): Secret => withdrawnFrom(read(three), taking(change));
const live = (secret: Secret) => liveVersions(secret).map(({ version }) => version);

describe('withdrawnFrom', () => {
  test('nothing taken back changes nothing', () => {
    expect(withdrawnFrom(read(three), undefined)).toEqual(read(three));
    expect(after({})).toEqual(read(three));
  });

  test('a floor takes the versions up to it', () => {
    expect(live(after({ revokedThrough: 1 }))).toEqual([3, 2]);
    expect(live(after({ revokedThrough: 3 }))).toEqual([]);
    expect(after({ revokedThrough: 3 })).not.toHaveProperty('newest');
  });

  test('single versions go alone, the newest too', () => {
    expect(live(after({ revoked: [2] }))).toEqual([3, 1]);
    expect(live(after({ revoked: [3] }))).toEqual([2, 1]);
  });

  test('a floor of the future takes all that comes up to it', () => {
    const floor = taking({ revokedThrough: 4 });
    expect(live(withdrawnFrom(read(put(three)), floor))).toEqual([]);
    expect(live(withdrawnFrom(read(put(put(three))), floor))).toEqual([5]);
  });

  test('a workload reads nothing up to its limit, and what comes after', () => {
    const secret = after({ grants: new Map([[BATCH, 2]]) });
    const names = (version: number) => readers(secret, version).map(({ workload }) => workload);
    expect([1, 2, 3, 4].map(names)).toEqual([[WEB], [WEB], [WEB, BATCH], [WEB, BATCH]]);
    expect(live(secret)).toEqual([3, 2, 1]);
    expect(secret.grants).toEqual(GRANTS);
  });

  test('a workload that has no grant gets none', () => {
    expect(readers(after({ grants: new Map([[parseWorkload('other'), 9]]) }), 3)).toEqual(GRANTS);
  });

  test('twice is as much as the most of both', () => {
    const twice = withdrawnFrom(
      after({ revokedThrough: 1, grants: new Map([[WEB, 3]]) }),
      taking({
        revoked: [2],
        grants: new Map([
          [WEB, 1],
          [BATCH, 2],
        ]),
      }),
    );
    expect(twice).toMatchObject({ revokedThrough: 1, revoked: [2] });
    expect(twice.withheld).toEqual(
      new Map([
        [WEB, 3],
        [BATCH, 2],
      ]),
    );
  });
});

describe('catchUp', () => {
  const caught = (change: Partial<Withdrawal>) => catchUp(three, [after(change)], NOW);

  test('with nothing to do gives back what it got', () => {
    expect(caught({})).toBe(three);
    expect(caught({ grants: new Map([[WEB, 3]]) })).toBe(three);
  });

  test('drops what was taken back, and says so', () => {
    expect(Object.keys(caught({ revoked: [2] }))).toEqual(['payments/db@1', 'payments/db@3']);
    expect(read(caught({ revoked: [2] }))).toMatchObject({ revoked: [2] });
    expect(Object.keys(caught({ revokedThrough: 2 }))).toEqual(['payments/db@3']);
  });

  test('the newest becomes a tombstone', () => {
    const targets = caught({ revokedThrough: 3 });
    expect(Object.keys(targets)).toEqual(['payments/db@3']);
    expect(read(targets)).toMatchObject({ revokedThrough: 3, grants: GRANTS });
    expect(read(targets)).not.toHaveProperty('newest');
  });

  test('other secrets stay as they are', () => {
    const other = parseSecretName('other');
    const both = put(three, other);
    const secrets = readAll(both);
    const effective = [withdrawnFrom(secrets.get(DB)!, taking({ revokedThrough: 3 })), secrets.get(other)!];
    expect(catchUp(both, effective, NOW)['payments/other@1']).toEqual(both['payments/other@1']);
  });

  test('a put on top goes on from there: what was taken back is not superseded but gone', () => {
    const secret = after({ revokedThrough: 3 });
    const next = put(catchUp(three, [secret], NOW), DB, secret);
    expect(Object.keys(next)).toEqual(['payments/db@4']);
    expect(read(next)).toMatchObject({ newestVersion: 4, revokedThrough: 3, newest: { version: 4 } });
  });

  test('a floor of the future does not keep the namespace from publishing', () => {
    const targets = catchUp(three, [after({ revokedThrough: 99, revoked: [] })], NOW);
    expect(read(targets)).toMatchObject({ revokedThrough: 3 });
    const single = catchUp(three, [after({ revoked: [2, 77] })], NOW);
    expect(read(single)).toMatchObject({ revoked: [2] });
  });

  test('grants can be edited on top', () => {
    const secret = after({ revokedThrough: 2 });
    const targets = setGrants(catchUp(three, [secret], NOW), secret, []);
    expect(read(targets)).toMatchObject({ revokedThrough: 2, grants: [], newest: { version: 3 } });
  });
});

test('whatever was taken back, the namespace catches up to exactly that, and it is a succession', () => {
  const some = fc.record({
    revokedThrough: fc.nat(4),
    singles: fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { maxLength: 3 }),
    length: fc.integer({ min: 1, max: 4 }),
  });
  const succeeds = fc.property(some, ({ revokedThrough, singles, length }) => {
    let targets: JsonObject = {};
    for (let i = 0; i < length; i++) targets = put(targets);
    const revoked = singles.filter((version) => version > revokedThrough).sort((a, b) => a - b);
    const secret = withdrawnFrom(read(targets), taking({ revokedThrough, revoked }));
    const next = catchUp(targets, [secret], NOW);
    checkSuccession(readAll(targets), readAll(next));
    expect(live(read(next))).toEqual(live(secret));
    for (const version of live(read(targets))) {
      const isDead = version <= revokedThrough || revoked.includes(version);
      expect(isRevoked(read(next), version)).toBe(isDead);
    }
    expect(catchUp(next, [secret], NOW)).toBe(next);
  });
  fc.assert(succeeds, { numRuns: 200 });
});
