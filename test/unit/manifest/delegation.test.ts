// How targets hands a namespace to its owner, and takes it away again.
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseNamespace } from '../../../manifest/names.ts';
import { delegateNamespace, nextVersion, readRealm, realmId } from '../../../manifest/realm/realm.ts';
import { parseTargets } from '../../../manifest/tuf/targets.ts';
import {
  currentRole,
  trustRoot,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import {
  KEYS,
  LATER,
  NOW,
  PAYMENTS,
  POLICY,
  codeOf,
  delegatingJson,
  expectRefused,
  fileMeta,
  one,
  publish,
  publishAll,
  resign,
  rootJson,
  snapshotJson,
  testKey,
  timestampJson,
  trust,
  unsigned,
} from './repository.ts';

const OWNER = testKey(61);
const first = publishAll(1);
const targets = trust(first).targets.get('targets')!;

/** A set in which only top-level targets moved, to `signed`. */
function withTargets(signed: JsonObject) {
  const file = resign({ ...signed, version: 2 }, KEYS.targets);
  const meta = { 'targets.json': fileMeta(file, 2), 'payments.json': fileMeta(first.payments, 1) };
  const snapshot = resign(snapshotJson(meta, { version: 2 }), KEYS.snapshot);
  const timestamp = resign(timestampJson(fileMeta(snapshot, 2), { version: 2 }), KEYS.timestamp);
  const set = updateSnapshot(updateTimestamp(trust(first), timestamp, NOW), snapshot, NOW);
  return updateTargets(set, 'targets', file, NOW);
}

describe('what a role was verified by must still speak for it', () => {
  test('a namespace whose owner changed is verified again', () => {
    const set = withTargets(delegatingJson({}, { ...KEYS, payments: OWNER }));
    expect(currentRole(set, 'payments')).toBeUndefined();
    expectRefused(
      set,
      'signature-threshold',
      (old) => updateTargets(old, 'payments', first.payments, NOW),
      (old) => updateTimestamp(old, publishAll(3).timestamp, NOW),
    );
  });

  test('a namespace that is no longer delegated is gone', () => {
    const set = withTargets(delegatingJson({ delegations: { keys: {}, roles: [] } }));
    expect(currentRole(set, 'payments')).toBeUndefined();
    expectRefused(
      set,
      'role-unknown',
      (old) => updateTargets(old, 'payments', first.payments, NOW),
      (old) => updateTimestamp(old, publishAll(3).timestamp, NOW),
    );
  });

  test('a namespace whose owner stayed is not fetched again', () => {
    const set = withTargets(delegatingJson({ note: 'other' }));
    expect(currentRole(set, 'payments')).toBe(set.targets.get('payments'));
    expect(currentRole(set, 'payments')?.bytes).toBe(first.payments);
  });
});

describe('delegateNamespace', () => {
  const billing = parseNamespace('billing');
  const terms = { ...one(OWNER), revokers: [], policy: POLICY };
  const read = (change: JsonObject) => parseTargets(resign(nextVersion(targets, LATER, change))).role;

  test('appends a terminating role that owns its own directory', () => {
    const role = read(delegateNamespace(targets, billing, terms));
    expect(role.version).toBe(2);
    expect([...role.delegations.keys()]).toEqual(['fleet', 'payments', 'billing']);
    const delegation = role.delegations.get('billing')!;
    expect(delegation).toMatchObject({ paths: ['billing/*'], terminating: true, threshold: 1 });
    expect([...delegation.keys.keys()]).toEqual([OWNER.keyid]);
  });

  test('puts a revoker behind it, which any one of its keys speaks for', () => {
    const revokers = [KEYS.revoker.hex, KEYS.stranger.hex];
    const { delegations } = read(delegateNamespace(targets, billing, { ...terms, revokers }));
    expect([...delegations.keys()].slice(-2)).toEqual(['billing', 'billing-revoker']);
    const revoker = delegations.get('billing-revoker')!;
    expect(revoker).toMatchObject({ paths: ['billing-revoker/*'], terminating: false, threshold: 1 });
    expect([...revoker.keys.keys()]).toEqual([KEYS.revoker.keyid, KEYS.stranger.keyid]);
  });

  test('keeps what a newer writer added', () => {
    const raw = { ...targets.raw, delegations: { ...(targets.raw['delegations'] as JsonObject), note: 1 } };
    expect(delegateNamespace({ ...targets, raw }, billing, terms)['delegations']).toHaveProperty('note', 1);
    expect(nextVersion({ ...targets, raw: { ...raw, policy: {} } }, LATER, {})).toHaveProperty('policy', {});
  });

  test('keeps the policies of the others', () => {
    const { policies } = delegateNamespace(targets, billing, terms) as { policies: JsonObject };
    expect(Object.keys(policies)).toEqual(['payments', 'billing']);
    expect(policies['payments']).toEqual((targets.raw['policies'] as JsonObject)['payments']);
  });

  test('takes a namespace with a name that objects inherit', () => {
    const name = parseNamespace('constructor');
    const role = unsigned(nextVersion(targets, LATER, delegateNamespace(targets, name, terms)));
    expect([...readRealm(role).keys()]).toEqual(['payments', 'constructor']);
  });

  test('refuses a namespace that exists', () => {
    expect(codeOf(() => delegateNamespace(targets, PAYMENTS, terms))).toBe('name-invalid');
  });
});

describe('readRealm', () => {
  const delegations = targets.raw['delegations'] as JsonObject;
  const [fleet, payments] = delegations['roles'] as [JsonObject, JsonObject];
  const revoker = {
    ...payments,
    name: 'payments-revoker',
    paths: ['payments-revoker/*'],
    terminating: false,
  };
  const realm = (roles: readonly JsonObject[], change: JsonObject = {}) =>
    readRealm(unsigned(delegatingJson({ delegations: { ...delegations, roles }, ...change })));
  const read = (change: JsonObject) => realm([fleet, { ...payments, ...change }]);

  test('reads namespaces in their order, each with its policy', () => {
    expect([...read({})]).toEqual([['payments', { policy: POLICY, hasRevoker: false }]]);
    expect(realm([fleet, payments, revoker]).get(PAYMENTS)?.hasRevoker).toBe(true);
  });

  test('a namespace without a policy is refused, also one whose name objects inherit', () => {
    expect(codeOf(() => realm([fleet, payments], { policies: {} }))).toBe('metadata-malformed');
    const other = { ...payments, name: 'constructor', paths: ['constructor/*'] };
    expect(codeOf(() => realm([fleet, payments, other]))).toBe('metadata-malformed');
  });

  test.for<[string, JsonObject]>([
    ['path-outside-role', { paths: ['*'] }],
    ['path-outside-role', { paths: ['billing/*'] }],
    ['path-outside-role', { paths: ['payments/*', 'billing/*'] }],
    ['path-outside-role', { paths: [] }],
    ['path-outside-role', { terminating: false }],
    ['name-invalid', { name: 'root' }],
    ['name-invalid', { name: 'fleet-hosts' }],
    ['name-invalid', { name: 'payments-revoker' }],
    ['name-invalid', { name: '../payments' }],
    ['metadata-malformed', { paths: null }],
    ['metadata-malformed', { paths: [['payments/*']] }],
    ['metadata-malformed', { terminating: 1 }],
    ['metadata-malformed', { keyids: 'all' }],
  ])('a namespace: %s: %j', ([code, change]) => {
    expect(codeOf(() => read(change))).toBe(code);
  });

  test.for<[string, JsonObject]>([
    ['path-outside-role', { paths: ['payments/*'] }],
    ['path-outside-role', { paths: ['*'] }],
    ['path-outside-role', { terminating: true }],
    ['policy-malformed', { threshold: 2 }],
    ['name-invalid', { name: 'billing-revoker', paths: ['billing-revoker/*'] }],
    ['name-invalid', { name: 'payments-revoker-revoker', paths: ['payments-revoker-revoker/*'] }],
  ])('a revoker: %s: %j', ([code, change]) => {
    expect(codeOf(() => realm([fleet, payments, { ...revoker, ...change }]))).toBe(code);
  });

  test('hash prefixes and hash bins, which TUF has, are not for a realm', () => {
    const { paths: _, ...bare } = payments;
    expect(codeOf(() => realm([fleet, { ...bare, path_hash_prefixes: ['0'] }]))).toBe('path-outside-role');
    const bins = { keyids: [OWNER.keyid], threshold: 1, bit_length: 1, name_prefix: 'payments' };
    const succinct = { keys: {}, succinct_roles: bins };
    expect(codeOf(() => realm([], { delegations: succinct }))).toBe('fleet-malformed');
  });

  test('a revoker that stands before its namespace is refused', () => {
    expect(codeOf(() => realm([fleet, revoker, payments]))).toBe('name-invalid');
  });

  test.for<[string, readonly JsonObject[]]>([
    ['fleet-malformed', [payments]],
    ['path-outside-role', [{ ...fleet, paths: ['fleet/*'] }]],
    ['path-outside-role', [{ ...fleet, paths: ['*'] }]],
    ['path-outside-role', [{ ...fleet, terminating: false }]],
  ])('fleet: %s: %j', ([code, roles]) => {
    expect(codeOf(() => realm(roles))).toBe(code);
  });
});

describe('the realm id', () => {
  test('is of the signed part: another signature changes nothing', () => {
    const bare = trustRoot(first.root);
    const twice = trustRoot(resign(rootJson(), KEYS.root, KEYS.stranger));
    expect(realmId(twice.root)).toBe(realmId(bare.root));
  });

  test('is of root 1 only', () => {
    const second = updateRoot(trustRoot(publish().root), resign(rootJson({ version: 2 }), KEYS.root));
    expect(codeOf(() => realmId(second.root))).toBe('version-mismatch');
  });
});
