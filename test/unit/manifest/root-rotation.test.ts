// The next root must be signed by the old keys and by its own, one version at a time (TUF 1.0.34 §5.3).
import { describe, expect, test } from 'vitest';
import { formatInstant } from '../../../manifest/shape.ts';
import {
  currentRole,
  trustRoot,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../../manifest/tuf/trusted-set.ts';
import {
  KEYS,
  NOW,
  codeOf,
  expectRefused,
  publish,
  publishAll,
  resign,
  rootJson,
  testKey,
  trust,
  update,
} from './repository.ts';

const NEW = { ...KEYS, root: testKey(31) };
const files = publishAll(1);
const rotated = rootJson({ version: 2 }, NEW);
const good = resign(rotated, KEYS.root, NEW.root);
const honest = (set: TrustedSet): TrustedSet => updateRoot(set, good);

test('a rotated root key: the new one signs from then on', () => {
  const set = updateRoot(trust(files), good);
  expect(set.root.role.version).toBe(2);
  const third = rootJson({ version: 3 }, NEW);
  expectRefused(
    set,
    'signature-threshold',
    (old) => updateRoot(old, resign(third, KEYS.root)),
    (old) => updateRoot(old, resign(third, NEW.root)),
  );
});

describe('refused', () => {
  test.for([
    ['signed by the new key alone', 'signature-threshold', resign(rotated, NEW.root)],
    ['signed by the old key alone', 'signature-threshold', resign(rotated, KEYS.root)],
    ['a version skipped', 'version-mismatch', resign(rootJson({ version: 3 }), KEYS.root)],
    ['the same version again', 'version-mismatch', files.root],
    ['version 0', 'metadata-malformed', resign(rootJson({ version: 0 }), KEYS.root)],
    [
      'a word about consistent snapshots that is none',
      'metadata-malformed',
      resign(rootJson({ version: 2, consistent_snapshot: 'true' }), KEYS.root),
    ],
    [
      'without a timestamp role',
      'metadata-malformed',
      resign(rootJson({ version: 2, roles: {} }), KEYS.root),
    ],
    [
      'an expiry that is no time',
      'metadata-malformed',
      resign(rootJson({ version: 2, expires: 'never' }), KEYS.root),
    ],
  ] as const)('%s', ([, code, attack]) => {
    expectRefused(trust(files), code, (set) => updateRoot(set, attack), honest);
  });

  test('an older root', () => {
    const set = updateRoot(trust(files), good);
    const attack = (old: TrustedSet): TrustedSet => updateRoot(old, files.root);
    expectRefused(set, 'signature-threshold', attack, (old) =>
      updateRoot(old, resign(rootJson({ version: 3 }, NEW), NEW.root)),
    );
  });
});

test('an expired root between two others does not matter; an expired last one does', () => {
  const past = formatInstant(NOW - 1000);
  const second = updateRoot(
    trustRoot(files.root),
    resign(rootJson({ version: 2, expires: past }), KEYS.root),
  );
  expectRefused(
    second,
    'metadata-expired',
    (set) => updateTimestamp(set, files.timestamp, NOW),
    (set) => update(updateRoot(set, resign(rootJson({ version: 3 }), KEYS.root)), files, NOW),
  );
});

test.for([
  '2026-01-31',
  '2026-01-31T00:00:00.000Z',
  '2026-02-30T00:00:00Z',
  '2026-01-31T24:00:00Z',
  '2026-01-31T00:00:00+00:00',
  '+010000-01-01T00:00:00Z',
  '',
])('an expiry written as %j', (expires) => {
  expect(codeOf(() => trustRoot(resign(rootJson({ expires }), KEYS.root)))).toBe('metadata-malformed');
});

test('rotated targets keys: what the old ones signed is no longer current', () => {
  const keys = { ...KEYS, targets: testKey(32) };
  const set = updateRoot(trust(files), resign(rootJson({ version: 2 }, keys), KEYS.root));
  expect(currentRole(set, 'targets')).toBeUndefined();
  expect(currentRole(set, 'payments')).toBeUndefined();
  const next = publish({ timestamp: { version: 2 }, snapshot: { version: 2 } }, keys);
  const named = updateSnapshot(updateTimestamp(set, next.timestamp, NOW), next.snapshot, NOW);
  const old = publish({ timestamp: { version: 2 }, snapshot: { version: 2 } });
  const stolen = updateSnapshot(updateTimestamp(set, old.timestamp, NOW), old.snapshot, NOW);
  expectRefused(
    stolen,
    'signature-threshold',
    (before) => updateTargets(before, 'targets', old.targets, NOW),
    (before) =>
      updateTimestamp(
        before,
        publish({ timestamp: { version: 3 }, snapshot: { version: 2 } }).timestamp,
        NOW,
      ),
  );
  expect(currentRole(updateTargets(named, 'targets', next.targets, NOW), 'targets')).toBeDefined();
});

test('a root that changes no online key keeps everything', () => {
  const set = trust(files);
  const next = updateRoot(set, resign(rootJson({ version: 2 }), KEYS.root));
  expect(next.timestamp).toBe(set.timestamp);
  expect(next.snapshot).toBe(set.snapshot);
  expect(next.targets).toBe(set.targets);
});
