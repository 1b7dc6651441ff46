// Stolen online keys signed huge version numbers; a root that rotates them makes hosts forget those (TUF 1.0.34 §5.3.11).
import { expect, test } from 'vitest';
import { trustRoot, updateRoot, updateTimestamp } from '../../../manifest/tuf/trusted-set.ts';
import {
  KEYS,
  NOW,
  expectRefused,
  publish,
  publishAll,
  resign,
  rootJson,
  testKey,
  trust,
  update,
} from './repository.ts';

const forward = publish({
  timestamp: { version: Number.MAX_SAFE_INTEGER },
  snapshot: { version: Number.MAX_SAFE_INTEGER },
  payments: { version: Number.MAX_SAFE_INTEGER },
});

test.for(['timestamp', 'snapshot'] as const)('rotating the %s key', (role) => {
  const keys = { ...KEYS, [role]: testKey(41) };
  const root = resign(rootJson({ version: 2 }, keys), KEYS.root);
  const recovered = publishAll(2, keys);
  expectRefused(
    trust(forward),
    role === 'timestamp' ? 'signature-threshold' : 'version-rollback',
    (set) => updateTimestamp(set, recovered.timestamp, NOW),
    (set) => update(updateRoot(set, root), recovered, NOW),
  );
  const after = updateRoot(trust(forward), root);
  expect([after.timestamp, after.snapshot, after.targets.size]).toEqual([undefined, undefined, 0]);
});

test('raising a threshold counts as rotating', () => {
  const base = rootJson({ version: 2 });
  const roles = base['roles'] as Record<string, { keyids: string[]; threshold: number }>;
  const root = resign(
    { ...base, roles: { ...roles, snapshot: { ...roles['snapshot']!, threshold: 2 } } },
    KEYS.root,
  );
  expect(updateRoot(trust(forward), root).timestamp).toBeUndefined();
});

test('without a rotation the huge numbers stay', () => {
  const set = updateRoot(trust(forward), resign(rootJson({ version: 2 }), KEYS.root));
  expectRefused(
    set,
    'version-rollback',
    (old) => updateTimestamp(old, publishAll(2).timestamp, NOW),
    (old) => updateRoot(old, resign(rootJson({ version: 3 }), KEYS.root)),
  );
});

test('listing the same keys under other ids is no rotation', () => {
  const base = rootJson({ version: 2 });
  const keys = base['keys'] as Record<string, object>;
  const roles = base['roles'] as Record<string, { keyids: string[]; threshold: number }>;
  const alias = { ...keys, alias: keys[KEYS.timestamp.keyid]! };
  const root = resign(
    { ...base, keys: alias as never, roles: { ...roles, timestamp: { keyids: ['alias'], threshold: 1 } } },
    KEYS.root,
  );
  expect(updateRoot(trust(forward), root).timestamp?.role.version).toBe(Number.MAX_SAFE_INTEGER);
  expect(trustRoot(forward.root).timestamp).toBeUndefined();
});
