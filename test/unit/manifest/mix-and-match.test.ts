// Files that are each signed, but were never one state of the realm (TUF 1.0.34 §5.5.2, §5.5.4, §5.6.2, §5.6.4).
import { describe, expect, test } from 'vitest';
import {
  currentRole,
  currentSnapshot,
  trustRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import { KEYS, NOW, expectRefused, publish, publishAll, resign, trust, update } from './repository.ts';
import { fileMeta, snapshotJson, targetsJson, timestampJson } from './repository.ts';

const first = publishAll(1);
const second = publishAll(2);

test('a snapshot that the timestamp does not name', () => {
  expectRefused(
    updateTimestamp(trust(first), second.timestamp, NOW),
    'hash-mismatch',
    (set) => updateSnapshot(set, first.snapshot, NOW),
    (set) => updateSnapshot(set, second.snapshot, NOW),
  );
});

test('a snapshot of another version, where no hash was signed', () => {
  const timestamp = resign(timestampJson({ version: 2 }, { version: 2 }), KEYS.timestamp);
  expectRefused(
    updateTimestamp(trust(first), timestamp, NOW),
    'version-mismatch',
    (set) => updateSnapshot(set, publishAll(3).snapshot, NOW),
    (set) => updateSnapshot(set, second.snapshot, NOW),
  );
});

test('a role of another snapshot', () => {
  expectRefused(
    updateSnapshot(updateTimestamp(trust(first), second.timestamp, NOW), second.snapshot, NOW),
    'hash-mismatch',
    (set) => updateTargets(set, 'targets', publishAll(3).targets, NOW),
    (set) => updateTargets(set, 'targets', second.targets, NOW),
  );
});

test('another namespace role of the same version', () => {
  const other = resign(targetsJson({ note: 'same version' }), KEYS.payments);
  const meta = {
    'targets.json': fileMeta(first.targets, 1),
    'payments.json': { version: 1, length: other.length },
  };
  const snapshot = resign(snapshotJson(meta), KEYS.snapshot);
  const timestamp = resign(timestampJson(fileMeta(snapshot, 1)), KEYS.timestamp);
  let set = updateSnapshot(updateTimestamp(trustRoot(first.root), timestamp, NOW), snapshot, NOW);
  set = updateTargets(set, 'targets', first.targets, NOW);
  expectRefused(
    set,
    'length-mismatch',
    (old) => updateTargets(old, 'payments', first.payments, NOW),
    (old) => updateTargets(old, 'payments', other, NOW),
  );
});

describe('what is held is current only while it is exactly what was named', () => {
  test('between a new timestamp and its snapshot nothing is', () => {
    const set = updateTimestamp(trust(first), second.timestamp, NOW);
    expect(currentSnapshot(set)).toBeUndefined();
    expect(currentRole(set, 'payments')).toBeUndefined();
  });

  test('a snapshot of the same version with other bytes', () => {
    const other = publish({ timestamp: { version: 2 }, snapshot: { note: 'same version' } });
    const set = updateTimestamp(trust(first), other.timestamp, NOW);
    expect(currentSnapshot(set)).toBeUndefined();
    expect(currentSnapshot(updateSnapshot(set, other.snapshot, NOW))?.bytes).toBe(other.snapshot);
  });

  test('a role of the same version with other bytes', () => {
    const other = publish({
      timestamp: { version: 2 },
      snapshot: { version: 2 },
      payments: { note: 'other' },
    });
    const set = updateSnapshot(updateTimestamp(trust(first), other.timestamp, NOW), other.snapshot, NOW);
    expect(currentRole(set, 'targets')).toBeDefined();
    expect(currentRole(set, 'payments')).toBeUndefined();
    expect(currentRole(updateTargets(set, 'payments', other.payments, NOW), 'payments')?.bytes).toBe(
      other.payments,
    );
  });

  test('an untouched role stays current through a new snapshot', () => {
    const next = publish({ timestamp: { version: 2 }, snapshot: { version: 2 } });
    const set = updateSnapshot(updateTimestamp(trust(first), next.timestamp, NOW), next.snapshot, NOW);
    expect(currentRole(set, 'payments')).toBe(set.targets.get('payments'));
  });
});

describe('nothing is accepted before what names it', () => {
  const start = trustRoot(first.root);

  test('a snapshot before the timestamp', () => {
    expectRefused(
      start,
      'metadata-missing',
      (set) => updateSnapshot(set, first.snapshot, NOW),
      (set) => update(set, first, NOW),
    );
  });

  test('targets before the snapshot', () => {
    expectRefused(
      updateTimestamp(start, first.timestamp, NOW),
      'metadata-missing',
      (set) => updateTargets(set, 'targets', first.targets, NOW),
      (set) => update(set, first, NOW),
    );
  });

  test('a namespace before targets', () => {
    expectRefused(
      updateSnapshot(updateTimestamp(start, first.timestamp, NOW), first.snapshot, NOW),
      'metadata-missing',
      (set) => updateTargets(set, 'payments', first.payments, NOW),
      (set) => update(set, first, NOW),
    );
  });

  test('a namespace by an outdated targets', () => {
    expectRefused(
      updateSnapshot(updateTimestamp(trust(first), second.timestamp, NOW), second.snapshot, NOW),
      'metadata-missing',
      (set) => updateTargets(set, 'payments', second.payments, NOW),
      (set) => update(set, second, NOW),
    );
  });
});
