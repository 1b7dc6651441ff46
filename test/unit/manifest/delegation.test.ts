// How targets hands a namespace to its owner, and takes it away again.
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseNamespace } from '../../../manifest/names.ts';
import { delegate, namespaces, nextVersion, realmId } from '../../../manifest/realm/realm.ts';
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
  codeOf,
  delegatingJson,
  expectRefused,
  fileMeta,
  publish,
  publishAll,
  resign,
  rootJson,
  snapshotJson,
  testKey,
  timestampJson,
  trust,
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

describe('delegate', () => {
  const billing = parseNamespace('billing');

  test('appends a terminating role that owns its own directory', () => {
    const json = nextVersion(targets, LATER, { delegations: delegate(targets, billing, OWNER.hex) });
    const { role } = parseTargets(resign(json));
    expect(role.version).toBe(2);
    expect([...role.delegations.keys()]).toEqual(['payments', 'billing']);
    const delegation = role.delegations.get('billing')!;
    expect(delegation).toMatchObject({ paths: ['billing/*'], terminating: true, threshold: 1 });
    expect([...delegation.keys.keys()]).toEqual([OWNER.keyid]);
  });

  test('keeps what a newer writer added', () => {
    const raw = { ...targets.raw, delegations: { ...(targets.raw['delegations'] as JsonObject), note: 1 } };
    expect(delegate({ ...targets, raw }, billing, OWNER.hex)).toMatchObject({ note: 1 });
    expect(nextVersion({ ...targets, raw: { ...raw, policy: {} } }, LATER, {})).toHaveProperty('policy', {});
  });

  test('refuses a namespace that exists', () => {
    expect(codeOf(() => delegate(targets, PAYMENTS, OWNER.hex))).toBe('name-invalid');
  });
});

describe('namespaces', () => {
  const read = (change: JsonObject) => {
    const delegations = targets.raw['delegations'] as JsonObject;
    const [role] = delegations['roles'] as [JsonObject];
    const file = resign(delegatingJson({ delegations: { ...delegations, roles: [{ ...role, ...change }] } }));
    return namespaces({ ...targets, role: parseTargets(file).role });
  };

  test('are those that own exactly their directory', () => {
    expect(read({})).toEqual(['payments']);
  });

  test.for<[string, JsonObject]>([
    ['path-outside-role', { paths: ['*'] }],
    ['path-outside-role', { paths: ['billing/*'] }],
    ['path-outside-role', { paths: ['payments/*', 'billing/*'] }],
    ['path-outside-role', { paths: [] }],
    ['path-outside-role', { terminating: false }],
    ['name-invalid', { name: 'root' }],
    ['name-invalid', { name: 'payments-revoker' }],
    ['name-invalid', { name: '../payments' }],
    ['metadata-malformed', { paths: null }],
    ['metadata-malformed', { paths: [['payments/*']] }],
    ['metadata-malformed', { terminating: 1 }],
    ['metadata-malformed', { keyids: 'all' }],
  ])('%s: %j', ([code, change]) => {
    expect(codeOf(() => read(change))).toBe(code);
  });
});

describe('the realm id', () => {
  test('is of the signed part: another signature changes nothing', () => {
    const one = trustRoot(first.root);
    const two = trustRoot(resign(rootJson(), KEYS.root, KEYS.stranger));
    expect(realmId(two.root)).toBe(realmId(one.root));
  });

  test('is of root 1 only', () => {
    const second = updateRoot(trustRoot(publish().root), resign(rootJson({ version: 2 }), KEYS.root));
    expect(codeOf(() => realmId(second.root))).toBe('version-mismatch');
  });
});
