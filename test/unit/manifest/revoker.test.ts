// A revoker takes back, and can do nothing else; what it took back stays so.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseSecretName, parseWorkload } from '../../../manifest/names.ts';
import {
  NOTHING_WITHDRAWN,
  checkWithdrawalSuccession,
  joinWithdrawals,
  parseWithdrawal,
  readWithdrawals,
  withdrawGrant,
  withdrawThrough,
  withdrawVersion,
  withdrawalJson,
} from '../../../manifest/realm/revoker.ts';
import { ed25519KeyJson } from '../../../manifest/tuf/keys.ts';
import { KEYS, codeOf, targetsJson, unsigned } from './repository.ts';

const DB = parseSecretName('db');
const WEB = parseWorkload('web');
const BATCH = parseWorkload('batch');
const NONE = { revokedThrough: 0, revoked: [], grants: {} };

const read = (withdrawals: JsonObject, change: JsonObject = {}) =>
  readWithdrawals(unsigned(targetsJson({ withdrawals, ...change })));
const withdrawal = (change: JsonObject) => read({ db: { ...NONE, ...change } }).get(DB);

describe('what is written is read', () => {
  test('a floor, single versions, and workloads', () => {
    const edits = withdrawGrant(withdrawVersion(withdrawThrough({}, DB, 3), DB, 7), DB, WEB, 5);
    const wanted = { revokedThrough: 3, revoked: [7], grants: new Map([[WEB, 5]]) };
    expect(read(edits).get(DB)).toEqual(wanted);
    expect(parseWithdrawal(withdrawalJson(wanted), 'db')).toEqual(wanted);
  });

  test('nothing', () => {
    expect(read({})).toEqual(new Map());
    expect(withdrawal({})).toEqual(NOTHING_WITHDRAWN);
  });

  test('an edit never sinks what was there', () => {
    const high = withdrawGrant(withdrawThrough({}, DB, 9), DB, WEB, 9);
    const again = withdrawVersion(withdrawGrant(withdrawThrough(high, DB, 2), DB, WEB, 2), DB, 4);
    expect(read(again)).toEqual(read(high));
  });

  test('a floor swallows the single versions below it', () => {
    const single = withdrawVersion(withdrawVersion({}, DB, 7), DB, 2);
    expect(read(single).get(DB)?.revoked).toEqual([2, 7]);
    expect(read(withdrawThrough(single, DB, 5)).get(DB)).toMatchObject({ revokedThrough: 5, revoked: [7] });
  });

  test('what a newer writer added stays, and the other secrets are not touched', () => {
    const raw = { db: { ...NONE, note: 1 }, other: { ...NONE, note: 2 } };
    expect(withdrawThrough(raw, DB, 1)).toEqual({ ...raw, db: { ...NONE, revokedThrough: 1, note: 1 } });
  });

  test.for(['constructor', 'toString', 'hasOwnProperty'])('a secret named %s is taken back', (text) => {
    const name = parseSecretName(text);
    const edits = withdrawGrant(withdrawVersion(withdrawThrough({}, name, 3), name, 5), name, WEB, 4);
    expect(read(edits).get(name)).toEqual({ revokedThrough: 3, revoked: [5], grants: new Map([[WEB, 4]]) });
  });
});

describe('it can do nothing else', () => {
  const envelope = {
    length: 296,
    hashes: { sha256: 'ab'.repeat(32) },
    custom: {
      version: 4,
      grants: [{ selector: { workload: 'evil' }, file: 'db', uid: 0, gid: 0, mode: '0444' }],
      timing: { overlap: { seconds: 0 } },
      revokedThrough: 0,
      revoked: [],
      keys: [{ kid: 'k', epoch: 1, jwe: 'j' }],
    },
  };
  const { keyid, hex } = KEYS.stranger;
  const delegations = {
    keys: { [keyid]: ed25519KeyJson(hex) },
    roles: [{ name: 'payments', keyids: [keyid], threshold: 1, terminating: true, paths: ['payments/*'] }],
  };

  const bins = { keyids: [keyid], threshold: 1, bit_length: 1, name_prefix: 'payments' };

  test.for<[string, JsonObject]>([
    ['list a version of its namespace', { targets: { 'payments/db@4': envelope } }],
    ['list a file of its own', { targets: { 'payments-revoker/db@4': envelope } }],
    ['delegate', { delegations }],
    ['delegate to hash bins', { delegations: { keys: delegations.keys, succinct_roles: bins } }],
  ])('%s', ([, change]) => {
    expect(codeOf(() => read({}, change))).toBe('revoker-exceeds');
  });

  test('grants that it writes are limits: a version, never a file or a mode', () => {
    const grant = { selector: { workload: 'evil' }, file: 'db', uid: 0, gid: 0, mode: '0444' };
    expect(codeOf(() => withdrawal({ grants: { evil: grant } }))).toBe('metadata-malformed');
    expect(codeOf(() => withdrawal({ grants: [grant] }))).toBe('metadata-malformed');
  });

  test('members that belong to others say nothing here', () => {
    const policies = { payments: { pools: ['default'], custodians: [], whenStale: 'serve' } };
    expect(read({}, { policies, pools: {}, removals: [], lease: 9 })).toEqual(new Map());
  });
});

describe('refused', () => {
  test.for<[string, JsonObject]>([
    ['metadata-malformed', { revokedThrough: -1 }],
    ['metadata-malformed', { revokedThrough: null }],
    ['metadata-malformed', { revoked: null }],
    ['metadata-malformed', { revokedThrough: 5, revoked: [5] }],
    ['metadata-malformed', { revoked: [0] }],
    ['metadata-malformed', { revoked: Array.from({ length: 1025 }, (_, i) => i + 1) }],
    ['revoker-exceeds', { revoked: [3, 2] }],
    ['revoker-exceeds', { revoked: [2, 2] }],
    ['metadata-malformed', { grants: null }],
    ['metadata-malformed', { grants: { web: 0 } }],
    ['metadata-malformed', { grants: { web: '1' } }],
    ['name-invalid', { grants: { '../web': 1 } }],
    ['revoker-exceeds', { grants: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`w${i}`, 1])) }],
  ])('%s: %j', ([code, change]) => {
    expect(codeOf(() => withdrawal(change))).toBe(code);
  });

  test('no withdrawals at all', () => {
    expect(codeOf(() => readWithdrawals(unsigned(targetsJson())))).toBe('metadata-malformed');
  });

  test('a secret that is no name', () => {
    expect(codeOf(() => read({ 'payments/db': NONE }))).toBe('name-invalid');
  });

  test('more secrets than a namespace has', () => {
    const many = Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`s${i}`, NONE]));
    expect(codeOf(() => read(many))).toBe('revoker-exceeds');
  });
});

describe('the next version never', () => {
  const before = withdrawGrant(withdrawVersion(withdrawThrough({}, DB, 3), DB, 7), DB, WEB, 5);
  const after = (change: JsonObject) =>
    codeOf(() =>
      checkWithdrawalSuccession(read(before), read({ db: { ...(before['db'] as JsonObject), ...change } })),
    );

  test('takes back less', () => {
    expect(after({ revokedThrough: 2 })).toBe('floor-sank');
    expect(after({ revoked: [] })).toBe('floor-sank');
    expect(after({ revoked: [8] })).toBe('floor-sank');
    expect(after({ grants: { web: 4 } })).toBe('floor-sank');
    expect(after({ grants: { batch: 9 } })).toBe('floor-sank');
    expect(codeOf(() => checkWithdrawalSuccession(read(before), read({})))).toBe('floor-sank');
  });

  test('but as much, or more', () => {
    expect(after({})).toBeUndefined();
    expect(after({ revokedThrough: 7, revoked: [] })).toBeUndefined();
    expect(after({ grants: { web: 6, batch: 1 } })).toBeUndefined();
    expect(codeOf(() => checkWithdrawalSuccession(read({}), read(before)))).toBeUndefined();
  });
});

const withdrawals = fc.record({
  revokedThrough: fc.nat(5),
  singles: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 4 }),
  web: fc.nat(5),
  batch: fc.nat(5),
});
type Drawn = ReturnType<typeof withdrawals.generate>['value'];

function drawn({ revokedThrough, singles, web, batch }: Drawn): JsonObject {
  let edits = singles.reduce<JsonObject>((raw, version) => withdrawVersion(raw, DB, version), {});
  if (revokedThrough > 0) edits = withdrawThrough(edits, DB, revokedThrough);
  if (web > 0) edits = withdrawGrant(edits, DB, WEB, web);
  return batch > 0 ? withdrawGrant(edits, DB, BATCH, batch) : edits;
}

test('whatever two take back, together they take back both', () => {
  const covers = fc.property(withdrawals, withdrawals, (first, second) => {
    const of = (each: Drawn) => read(drawn(each)).get(DB) ?? NOTHING_WITHDRAWN;
    const [a, b] = [of(first), of(second)];
    const joined = new Map([[DB, joinWithdrawals(a, b)]]);
    checkWithdrawalSuccession(new Map([[DB, a]]), joined);
    checkWithdrawalSuccession(new Map([[DB, b]]), joined);
    expect(joinWithdrawals(b, a)).toEqual(joined.get(DB));
    expect(joinWithdrawals(a, a)).toEqual(a);
  });
  fc.assert(covers, { numRuns: 200 });
});
