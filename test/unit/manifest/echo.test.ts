// The answer that renews a lease: to this nonce, by the timestamp key, and never a file of another kind.
import { describe, expect, test } from 'vitest';
import { checkEcho, confirms, signEcho } from '../../../manifest/realm/echo.ts';
import { trustRoot, updateRoot, updateTimestamp } from '../../../manifest/tuf/trusted-set.ts';
import { hostVector } from './host-vector.ts';
import {
  KEYS,
  NOW,
  codeOf,
  expectRefused,
  publishAll,
  resign,
  rootJson,
  testKey,
  trust,
  update,
  utf8,
} from './repository.ts';

const { echo: vector } = hostVector;
const first = publishAll(1);
const set = trust(first);

describe('vectors', () => {
  test('the echo', () => {
    const { nonce, version, sha256 } = vector;
    expect(checkEcho(set, utf8(vector.file), nonce)).toEqual({ version, sha256 });
    expect(signEcho({ version, sha256 }, nonce, [KEYS.timestamp])).toEqual(utf8(vector.file));
  });

  test.for(vector.refused)('$code: $reason', ({ code, value }) => {
    expect(codeOf(() => checkEcho(set, utf8(value), vector.nonce))).toBe(code);
  });
});

test('an answer that was good once renews nothing when it is asked again', () => {
  const again = 'a0'.repeat(32);
  expect(codeOf(() => checkEcho(set, utf8(vector.file), again))).toBe('echo-mismatch');
});

test('a nonce is compared as text: upper case is another one', () => {
  expect(codeOf(() => checkEcho(set, utf8(vector.file), vector.nonce.toUpperCase()))).toBe('echo-mismatch');
});

test('it confirms the very timestamp that is trusted, and no other of the same version', () => {
  const newest = { version: 1, sha256: set.timestamp!.sha256 };
  expect(confirms(newest, set)).toBe(true);
  expect(confirms({ ...newest, version: 2 }, set)).toBe(false);
  expect(confirms({ ...newest, sha256: 'ab'.repeat(32) }, set)).toBe(false);
  expect(confirms(newest, trustRoot(first.root))).toBe(false);
});

test('an echo is no timestamp', () => {
  const echo = signEcho({ version: 2, sha256: 'ab'.repeat(32) }, vector.nonce, [KEYS.timestamp]);
  expectRefused(
    set,
    'metadata-type',
    (old) => updateTimestamp(old, echo, NOW),
    (old) => update(old, publishAll(2), NOW),
  );
});

test('a rotated timestamp key takes the old key’s echoes with it', () => {
  const next = testKey(51);
  const root = resign(rootJson({ version: 2 }, { ...KEYS, timestamp: next }), KEYS.root);
  const rotated = updateRoot(set, root);
  expect(codeOf(() => checkEcho(rotated, utf8(vector.file), vector.nonce))).toBe('signature-threshold');
  const answer = signEcho({ version: 1, sha256: 'ab'.repeat(32) }, vector.nonce, [next]);
  expect(checkEcho(rotated, answer, vector.nonce).version).toBe(1);
});
