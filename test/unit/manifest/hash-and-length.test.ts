// What a parent signed about a file's length and sha256 is checked before the file is parsed (TUF 1.0.34 §5.5.2, §5.6.2).
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { checkFile, sha256 } from '../../../manifest/tuf/metadata.ts';
import { updateSnapshot, updateTargets, updateTimestamp } from '../../../manifest/tuf/trusted-set.ts';
import {
  KEYS,
  NOW,
  codeOf,
  expectRefused,
  publishAll,
  resign,
  snapshotJson,
  timestampJson,
  trust,
} from './repository.ts';

const first = publishAll(1);
const second = publishAll(2);
const ZERO = '00'.repeat(32);

function timestampNaming(meta: JsonObject): Uint8Array {
  return resign(timestampJson({ version: 2, ...meta }, { version: 2 }), KEYS.timestamp);
}

test.for([
  ['length-mismatch', { length: second.snapshot.length + 1 }],
  ['length-mismatch', { length: second.snapshot.length - 1, hashes: { sha256: sha256(second.snapshot) } }],
  ['hash-mismatch', { hashes: { sha256: ZERO } }],
  ['hash-mismatch', { length: second.snapshot.length, hashes: { sha256: ZERO, sha512: ZERO + ZERO } }],
] as const)('a snapshot: %s, %j', ([code, meta]) => {
  expectRefused(
    updateTimestamp(trust(first), timestampNaming(meta), NOW),
    code,
    (set) => updateSnapshot(set, second.snapshot, NOW),
    (set) => updateTimestamp(set, publishAll(3).timestamp, NOW),
  );
});

test.for([
  ['length-mismatch', { length: 0 }],
  ['hash-mismatch', { hashes: { sha256: ZERO } }],
] as const)('a role: %s, %j', ([code, meta]) => {
  const list = { 'targets.json': { version: 2, ...meta }, 'payments.json': { version: 2 } };
  const snapshot = resign(snapshotJson(list, { version: 2 }), KEYS.snapshot);
  const set = updateSnapshot(updateTimestamp(trust(first), timestampNaming({}), NOW), snapshot, NOW);
  expectRefused(
    set,
    code,
    (old) => updateTargets(old, 'targets', second.targets, NOW),
    (old) => updateTimestamp(old, publishAll(3).timestamp, NOW),
  );
});

describe('a parent that signs something nobody could check', () => {
  test.for<JsonObject>([
    { hashes: {} },
    { hashes: { sha512: ZERO } },
    { hashes: { sha256: ZERO.slice(2) } },
    { hashes: { sha256: 'AB'.repeat(32) } },
    { hashes: null },
    { hashes: [ZERO] },
    { length: -1 },
    { length: '7' },
    { length: null },
  ])('%j', (meta) => {
    expectRefused(
      trust(first),
      'metadata-malformed',
      (set) => updateTimestamp(set, timestampNaming(meta), NOW),
      (set) => updateTimestamp(set, timestampNaming({}), NOW),
    );
  });
});

test('length is told before hash, and neither is needed', () => {
  const bytes = new Uint8Array(3);
  expect(codeOf(() => checkFile(bytes, { length: 4, sha256: ZERO }, 'file'))).toBe('length-mismatch');
  expect(codeOf(() => checkFile(bytes, { length: 3, sha256: ZERO }, 'file'))).toBe('hash-mismatch');
  expect(codeOf(() => checkFile(bytes, { length: 3, sha256: sha256(bytes) }, 'file'))).toBeUndefined();
  expect(codeOf(() => checkFile(bytes, {}, 'file'))).toBeUndefined();
});
