// Pools, their epochs, and the hosts that were removed; and what the next version of that may never undo.
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseHostName, parsePoolName } from '../../../manifest/names.ts';
import {
  checkFleetSuccession,
  currentEpoch,
  genesisFleet,
  isRemoved,
  readFleet,
  recipientsOf,
  withEpoch,
  withRemoval,
  withoutEpochs,
} from '../../../manifest/realm/fleet.ts';
import type { PoolEpoch } from '../../../manifest/realm/fleet.ts';
import { publicHalf } from '../../../manifest/realm/pool-key.ts';
import { keyJson, recipientOf } from '../../../manifest/realm/recipient.ts';
import {
  CUSTODIAN,
  KEYS,
  LATER,
  NOW,
  POLICY,
  POOL,
  codeOf,
  one,
  privateKey,
  unsigned,
} from './repository.ts';

const CONSTRUCTOR = parsePoolName('constructor');
const WEB = { host: parseHostName('web-1'), kid: 'k1', at: NOW };

/** The pair of an epoch is 32 times one byte. */
function epoch(number: number, byte: number): PoolEpoch {
  const copy = { kid: CUSTODIAN.kid, epoch: 0, jwe: 'j' };
  return { ...recipientOf(publicHalf(privateKey('x25519', byte)), number), custodians: [copy] };
}

const genesis = genesisFleet({ ...one(KEYS.fleet), custodians: [CUSTODIAN.key] }, LATER);
const edit = (raw: JsonObject, change: JsonObject): JsonObject => ({ ...raw, ...change });
const first = edit(genesis, withEpoch(genesis, POOL, epoch(1, 1)));
const second = edit(first, withEpoch(first, POOL, epoch(2, 2)));
const read = (raw: JsonObject) => readFleet(unsigned(raw));

describe('what is written is read', () => {
  test('a fleet without a pool', () => {
    const bare = { custodians: [CUSTODIAN], pools: new Map(), removals: [] };
    expect(read(genesis)).toEqual(bare);
  });

  test('the epochs of a pool, the last of which is current', () => {
    const pool = read(second).pools.get(POOL)!;
    expect([...pool.epochs.values()]).toEqual([epoch(1, 1), epoch(2, 2)]);
    expect(pool.epoch).toBe(2);
    expect(currentEpoch(read(second), POOL)).toEqual(epoch(2, 2));
  });

  test('a pool with a name that objects inherit', () => {
    const raw = edit(first, withEpoch(first, CONSTRUCTOR, epoch(1, 3)));
    expect([...read(raw).pools.keys()]).toEqual([POOL, CONSTRUCTOR]);
    expect(codeOf(() => currentEpoch(read(first), CONSTRUCTOR))).toBe('fleet-malformed');
  });

  test('epochs that nobody needs go, but never the current one', () => {
    const left = read(edit(second, withoutEpochs(second, POOL, new Set([1, 2])))).pools.get(POOL)!;
    expect([...left.epochs.keys()]).toEqual([2]);
  });

  test('a removal is of a key, not of a name for ever', () => {
    const fleet = read(edit(second, withRemoval(second, WEB)));
    expect(fleet.removals).toEqual([WEB]);
    expect(isRemoved(fleet, WEB.host, 'k1')).toBe(true);
    expect(isRemoved(fleet, WEB.host, 'k2')).toBe(false);
    expect(isRemoved(fleet, parseHostName('web-2'), 'k1')).toBe(false);
  });

  test('what a newer writer added stays', () => {
    const pools = { [POOL]: { ...((first['pools'] as JsonObject)[POOL] as JsonObject), note: 1 } };
    const next = withEpoch({ ...first, pools }, POOL, epoch(2, 2));
    expect(next['pools']).toHaveProperty([POOL, 'note'], 1);
  });
});

test('a new version is encrypted to the current epoch of each allowed pool, and to the custodians', () => {
  const recipients = recipientsOf(read(second), POLICY);
  expect(recipients.map(({ kid, epoch: number }) => [kid, number])).toEqual([
    [epoch(2, 2).kid, 2],
    [CUSTODIAN.kid, 0],
  ]);
  const policy = { ...POLICY, pools: [POOL, parsePoolName('gone')] };
  expect(codeOf(() => recipientsOf(read(second), policy))).toBe('fleet-malformed');
});

describe('refused', () => {
  const [role] = (genesis['delegations'] as JsonObject)['roles'] as [JsonObject];
  const delegating = (...roles: JsonObject[]): JsonObject => ({
    delegations: { ...(genesis['delegations'] as JsonObject), roles },
  });
  const [one1, two2] = [epoch(1, 1), epoch(2, 2)].map(({ epoch: number, key }) => ({
    epoch: number,
    key: keyJson(key),
    custodians: [],
  })) as unknown as [JsonObject, JsonObject];
  const pool = (change: JsonObject): JsonObject => ({
    pools: { [POOL]: { epoch: 2, epochs: [one1, two2], ...change } },
  });
  const custodian = keyJson(CUSTODIAN.key);
  const bins = { keyids: [KEYS.fleet.keyid], threshold: 1, bit_length: 1, name_prefix: 'fleet-hosts' };

  test.for<[string, string, JsonObject]>([
    [
      'fleet-malformed',
      'a file of its own',
      { targets: { 'fleet-hosts/a': { length: 1, hashes: { sha256: 'ab'.repeat(32) } } } },
    ],
    ['fleet-malformed', 'no delegation', delegating()],
    ['fleet-malformed', 'hash bins', { delegations: { keys: {}, succinct_roles: bins } }],
    ['fleet-malformed', 'no delegations at all', { delegations: { keys: {}, roles: [] } }],
    [
      'fleet-malformed',
      'another delegation',
      delegating({ ...role, name: 'payments', paths: ['payments/*'] }),
    ],
    [
      'fleet-malformed',
      'a delegation beside it',
      delegating(role, { ...role, name: 'payments', paths: ['payments/*'] }),
    ],
    ['fleet-malformed', 'another path', delegating({ ...role, paths: ['*'] })],
    ['fleet-malformed', 'two paths', delegating({ ...role, paths: ['fleet-hosts/*', 'payments/*'] })],
    ['fleet-malformed', 'a search that goes on', delegating({ ...role, terminating: false })],
    ['fleet-malformed', 'no custodian', { custodians: [] }],
    ['fleet-malformed', 'one custodian twice', { custodians: [custodian, custodian] }],
    ['metadata-malformed', 'custodians in an object', { custodians: {} }],
    ['metadata-malformed', 'no pools', { pools: null }],
    ['name-invalid', 'a pool that is no name', { pools: { A: { epoch: 1, epochs: [one1] } } }],
    ['fleet-malformed', 'a pool without epochs', pool({ epochs: [] })],
    ['fleet-malformed', 'a current epoch that is not the last', pool({ epoch: 1 })],
    ['fleet-malformed', 'a current epoch that is not there', pool({ epoch: 3 })],
    ['fleet-malformed', 'epochs that do not ascend', pool({ epoch: 1, epochs: [two2, one1] })],
    ['fleet-malformed', 'an epoch twice', pool({ epochs: [one1, two2, two2] })],
    ['fleet-malformed', 'one key for two epochs', pool({ epochs: [one1, { ...one1, epoch: 2 }] })],
    [
      'fleet-malformed',
      'one key for two pools',
      { pools: { a: { epoch: 1, epochs: [one1] }, b: { epoch: 1, epochs: [one1] } } },
    ],
    ['metadata-malformed', 'epoch 0', pool({ epoch: 0 })],
    [
      'metadata-malformed',
      'epochs without copies for custodians',
      pool({ epochs: [{ ...one1, custodians: null }] }),
    ],
    ['metadata-malformed', 'an epoch without a key', pool({ epochs: [{ ...one1, key: {} }] })],
    ['metadata-malformed', 'no removals', { removals: null }],
    [
      'name-invalid',
      'a removal of nobody',
      { removals: [{ host: '', kid: 'k', at: '2026-01-31T00:00:00Z' }] },
    ],
    ['metadata-malformed', 'a removal at no time', { removals: [{ host: 'a', kid: 'k', at: 0 }] }],
  ])('%s: %s', ([code, , change]) => {
    expect(codeOf(() => read({ ...first, ...change }))).toBe(code);
  });

  test('more epochs than allowed', () => {
    const epochs = Array.from({ length: 65 }, (_, i) => ({ ...one1, epoch: i + 1 }));
    expect(codeOf(() => read({ ...first, ...pool({ epoch: 65, epochs }) }))).toBe('metadata-malformed');
  });
});

describe('the next version', () => {
  const check = (old: JsonObject, next: JsonObject) =>
    codeOf(() => checkFleetSuccession(read(old), read(next)));
  const removed = edit(second, withRemoval(second, WEB));
  const withPools = (pools: JsonObject): JsonObject => ({ ...second, pools });

  test('may add pools, epochs and removals, and drop epochs', () => {
    expect(check(genesis, first)).toBeUndefined();
    expect(check(first, second)).toBeUndefined();
    expect(check(first, removed)).toBeUndefined();
    expect(check(second, edit(second, withoutEpochs(second, POOL, new Set([1]))))).toBeUndefined();
    expect(check(first, edit(genesis, withEpoch(genesis, POOL, epoch(7, 7))))).toBeUndefined();
    expect(check(second, second)).toBeUndefined();
  });

  test('may change its custodians', () => {
    const other = keyJson(publicHalf(privateKey('x25519', 8)));
    expect(check(second, { ...second, custodians: [other] })).toBeUndefined();
  });

  test('never goes back to an older epoch', () => {
    expect(check(second, first)).toBe('epoch-rollback');
  });

  test('never loses a pool', () => {
    expect(check(second, withPools({}))).toBe('epoch-rollback');
    expect(check(second, withPools({ other: (second['pools'] as JsonObject)[POOL]! }))).toBe(
      'epoch-rollback',
    );
  });

  test('never puts another key behind an epoch', () => {
    const other = edit(first, withEpoch(first, POOL, epoch(2, 9)));
    expect(check(second, other)).toBe('epoch-rollback');
  });

  test('never brings a dropped epoch back, with whatever key', () => {
    const dropped = edit(second, withoutEpochs(second, POOL, new Set([1])));
    expect(check(dropped, second)).toBe('epoch-rollback');
  });

  test('never forgets a removal', () => {
    expect(check(removed, second)).toBe('removal-vanished');
    const other = edit(second, withRemoval(second, { ...WEB, kid: 'k2' }));
    expect(check(removed, other)).toBe('removal-vanished');
  });
});
