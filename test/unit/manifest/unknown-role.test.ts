// Roles that nobody delegated to, or that no snapshot lists.
import { expect, test } from 'vitest';
import {
  currentRole,
  roleKeys,
  trustRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import {
  KEYS,
  NOW,
  codeOf,
  expectRefused,
  fileMeta,
  publishAll,
  resign,
  snapshotJson,
  timestampJson,
  trust,
  update,
} from './repository.ts';

const first = publishAll(1);

test.for(['billing', '', 'payments.json', '../payments', 'root', 'snapshot', 'timestamp'])('%j', (name) => {
  const set = trust(first);
  expect(currentRole(set, name)).toBeUndefined();
  expect(codeOf(() => roleKeys(set, name))).toBe('role-unknown');
  expectRefused(
    set,
    'role-unknown',
    (old) => updateTargets(old, name, first.payments, NOW),
    (old) => update(old, publishAll(2), NOW),
  );
});

test('listed by the snapshot, but not delegated', () => {
  const meta = {
    'targets.json': fileMeta(first.targets, 1),
    'payments.json': fileMeta(first.payments, 1),
    'billing.json': fileMeta(first.payments, 1),
  };
  const snapshot = resign(snapshotJson(meta, { version: 2 }), KEYS.snapshot);
  const timestamp = resign(timestampJson(fileMeta(snapshot, 2), { version: 2 }), KEYS.timestamp);
  expectRefused(
    updateSnapshot(updateTimestamp(trust(first), timestamp, NOW), snapshot, NOW),
    'role-unknown',
    (set) => updateTargets(set, 'billing', first.payments, NOW),
    (set) => updateTimestamp(set, publishAll(3).timestamp, NOW),
  );
});

test('delegated, but not listed by the snapshot', () => {
  const snapshot = resign(snapshotJson({ 'targets.json': fileMeta(first.targets, 1) }), KEYS.snapshot);
  const timestamp = resign(timestampJson(fileMeta(snapshot, 1)), KEYS.timestamp);
  const set = updateSnapshot(updateTimestamp(trustRoot(first.root), timestamp, NOW), snapshot, NOW);
  expectRefused(
    updateTargets(set, 'targets', first.targets, NOW),
    'role-unknown',
    (old) => updateTargets(old, 'payments', first.payments, NOW),
    (old) => updateTimestamp(old, publishAll(2).timestamp, NOW),
  );
});

test('a snapshot entry that is no role file', () => {
  for (const name of ['payments', 'payments.txt', '']) {
    const snapshot = resign(snapshotJson({ [name]: { version: 1 } }, { version: 2 }), KEYS.snapshot);
    const timestamp = resign(timestampJson(fileMeta(snapshot, 2), { version: 2 }), KEYS.timestamp);
    expectRefused(
      updateTimestamp(trust(first), timestamp, NOW),
      'metadata-malformed',
      (set) => updateSnapshot(set, snapshot, NOW),
      (set) => updateTimestamp(set, publishAll(3).timestamp, NOW),
    );
  }
});

test('a timestamp that names anything but the snapshot', () => {
  const signed = timestampJson(
    { version: 2 },
    { version: 2, meta: { 'snapshot.json': { version: 2 }, 'targets.json': { version: 2 } } },
  );
  expectRefused(
    trust(first),
    'metadata-malformed',
    (set) => updateTimestamp(set, resign(signed, KEYS.timestamp), NOW),
    (set) => updateTimestamp(set, publishAll(2).timestamp, NOW),
  );
});
