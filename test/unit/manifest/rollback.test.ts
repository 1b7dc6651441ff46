// A service, or somebody between, shows older metadata than the host has seen (TUF 1.0.34 §5.4.3, §5.5.5, §5.6.4).
import { expect, test } from 'vitest';
import {
  trustRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import { NOW, expectRefused, publish, publishAll, resign, trust, update } from './repository.ts';
import { KEYS, snapshotJson, timestampJson } from './repository.ts';

const first = publishAll(1);
const second = publishAll(2);
const third = publishAll(3);

test('an older timestamp', () => {
  expectRefused(
    trust(second),
    'version-rollback',
    (set) => updateTimestamp(set, first.timestamp, NOW),
    (set) => update(set, third, NOW),
  );
});

test('an older timestamp than the one on disk', () => {
  expectRefused(
    update(trustRoot(first.root), second),
    'version-rollback',
    (set) => updateTimestamp(set, first.timestamp, NOW),
    (set) => update(set, third, NOW),
  );
});

test('a newer timestamp that names an older snapshot', () => {
  const timestamp = publish({ timestamp: { version: 3 }, snapshot: { version: 1 } }).timestamp;
  expectRefused(
    trust(second),
    'version-rollback',
    (set) => updateTimestamp(set, timestamp, NOW),
    (set) => update(set, third, NOW),
  );
});

test.for(['targets', 'payments'])('a newer snapshot that lists an older %s', (role) => {
  const old = publish({
    ...{
      timestamp: { version: 3 },
      snapshot: { version: 3 },
      targets: { version: 2 },
      payments: { version: 2 },
    },
    [role]: { version: 1 },
  });
  expectRefused(
    updateTimestamp(trust(second), old.timestamp, NOW),
    'version-rollback',
    (set) => updateSnapshot(set, old.snapshot, NOW),
    (set) => updateTimestamp(set, publishAll(4).timestamp, NOW),
  );
});

test.for(['targets', 'payments'])('a newer snapshot that no longer lists %s', (role) => {
  const other = role === 'targets' ? 'payments' : 'targets';
  const snapshot = resign(snapshotJson({ [`${other}.json`]: { version: 2 } }, { version: 3 }), KEYS.snapshot);
  const timestamp = resign(timestampJson({ version: 3 }, { version: 3 }), KEYS.timestamp);
  expectRefused(
    updateTimestamp(trust(second), timestamp, NOW),
    'role-vanished',
    (set) => updateSnapshot(set, snapshot, NOW),
    (set) => updateSnapshot(set, third.snapshot, NOW),
  );
});

test('a role older than the snapshot says, where no hash was signed', () => {
  const meta = { 'targets.json': { version: 2 }, 'payments.json': { version: 2 } };
  const snapshot = resign(snapshotJson(meta, { version: 2 }), KEYS.snapshot);
  const timestamp = resign(timestampJson({ version: 2 }, { version: 2 }), KEYS.timestamp);
  const set = updateSnapshot(updateTimestamp(trust(first), timestamp, NOW), snapshot, NOW);
  expectRefused(
    set,
    'version-mismatch',
    (old) => updateTargets(old, 'targets', first.targets, NOW),
    (old) => updateTargets(old, 'targets', second.targets, NOW),
  );
});

test('the same timestamp again is no attack: the very same set comes back', () => {
  const set = trust(second);
  expect(updateTimestamp(set, second.timestamp, NOW)).toBe(set);
});
