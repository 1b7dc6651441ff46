// One key listed under two ids must not meet a threshold of two (TUF 1.0.34 §5.3.4).
import { expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { trustRoot, updateRoot } from '../../../manifest/tuf/trusted-set.ts';
import { KEYS, codeOf, expectRefused, publish, resign, rootJson, testKey, trust } from './repository.ts';

const other = testKey(51);
const keyJson = (key: typeof other): JsonObject => ({
  keytype: 'ed25519',
  scheme: 'ed25519',
  keyval: { public: key.hex },
});
const base = rootJson({ version: 2 });
const roles = base['roles'] as JsonObject;

/** Root 2 with a threshold of two, met by whatever signs under the ids `a` and `b`. */
function rootOf(a: typeof other, b: typeof other): JsonObject {
  return {
    ...base,
    keys: { ...(base['keys'] as JsonObject), a: keyJson(a), b: { ...keyJson(b), note: 'another id' } },
    roles: { ...roles, root: { keyids: [KEYS.root.keyid, 'a', 'b'], threshold: 2 } },
  };
}

test('the same key as a and b', () => {
  const once = rootOf(other, other);
  const twice = rootOf(other, testKey(52));
  const sign = (root: JsonObject, a: typeof other, b: typeof other): Uint8Array =>
    resign(root, { ...a, keyid: 'a' }, { ...b, keyid: 'b' }, { ...KEYS.stranger, keyid: KEYS.root.keyid });
  expect(codeOf(() => trustRoot(sign(once, other, other)))).toBe('signature-threshold');
  expect(codeOf(() => trustRoot(sign(twice, other, testKey(52))))).toBeUndefined();
});

test('the old root key and itself under another id', () => {
  const attack = resign(
    rootOf(KEYS.root, KEYS.root),
    KEYS.root,
    { ...KEYS.root, keyid: 'a' },
    { ...KEYS.root, keyid: 'b' },
  );
  expectRefused(
    trust(publish()),
    'signature-threshold',
    (set) => updateRoot(set, attack),
    (set) => updateRoot(set, resign(rootOf(other, other), KEYS.root, { ...other, keyid: 'a' })),
  );
});
