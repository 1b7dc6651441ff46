// Metadata that was once good is shown for too long (TUF 1.0.34 §5.3.10, §5.4.4, §5.5.6, §5.6.5).
import { expect, test } from 'vitest';
import { formatInstant } from '../../../manifest/shape.ts';
import {
  trustRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import { LATER, NOW, expectRefused, publish, publishAll, trust, update } from './repository.ts';

const SECOND = 1000;

function expiring(role: string, time: number) {
  return publish({
    ...{
      timestamp: { version: 2 },
      snapshot: { version: 2 },
      targets: { version: 2 },
      payments: { version: 2 },
    },
    [role]: { version: 2, expires: formatInstant(time) },
  });
}

test.for(['timestamp', 'snapshot', 'targets', 'payments'])('a %s that expires exactly now', (role) => {
  const set = trust(publishAll(1));
  expectRefused(
    set,
    'metadata-expired',
    (old) => update(old, expiring(role, NOW), NOW),
    (old) => update(old, expiring(role, NOW + SECOND), NOW),
  );
});

test('a root that expires exactly now stops every update', () => {
  const files = publish({ root: { expires: formatInstant(NOW) } });
  expectRefused(
    trustRoot(files.root),
    'metadata-expired',
    (set) => updateTimestamp(set, files.timestamp, NOW),
    (set) => updateTimestamp(set, files.timestamp, NOW - 1),
  );
});

test('the same timestamp, shown until it has expired', () => {
  const first = publishAll(1);
  const live = publish({ timestamp: { version: 2, expires: formatInstant(LATER + SECOND) } });
  const root = publish({ root: { expires: formatInstant(LATER + SECOND) } }).root;
  expectRefused(
    update(trustRoot(root), first, NOW),
    'metadata-expired',
    (set) => updateTimestamp(set, first.timestamp, LATER),
    (set) => updateTimestamp(set, live.timestamp, LATER),
  );
});

test('an expired timestamp from the disk, shown again', () => {
  const files = publish({ timestamp: { expires: formatInstant(NOW) } });
  expectRefused(
    update(trustRoot(files.root), files),
    'metadata-expired',
    (set) => updateTimestamp(set, files.timestamp, NOW),
    (set) => updateTimestamp(set, publishAll(2).timestamp, NOW),
  );
});

test('from the disk, expired files still guard against rollback', () => {
  const files = publish({
    timestamp: { version: 2, expires: formatInstant(0) },
    snapshot: { version: 2, expires: formatInstant(0) },
    targets: { version: 2, expires: formatInstant(0) },
    payments: { version: 2, expires: formatInstant(0) },
  });
  const set = update(trustRoot(files.root), files);
  expect(set.targets.get('payments')?.role.version).toBe(2);
  expectRefused(
    set,
    'version-rollback',
    (old) => updateTimestamp(old, publishAll(1).timestamp, NOW),
    (old) => update(old, publishAll(3), NOW),
  );
});

test('a refusal at one role leaves what was accepted above it', () => {
  const files = expiring('payments', NOW);
  let set = updateSnapshot(updateTimestamp(trust(publishAll(1)), files.timestamp, NOW), files.snapshot, NOW);
  set = updateTargets(set, 'targets', files.targets, NOW);
  expectRefused(
    set,
    'metadata-expired',
    (old) => updateTargets(old, 'payments', files.payments, NOW),
    (old) => update(old, publishAll(3), NOW),
  );
});
