// Size and count are bounded: by bytes before decoding, by values before parsing, by elements where lists are read.
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseJson } from '../../../manifest/json.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import { parseRoot } from '../../../manifest/tuf/root.ts';
import { parseSnapshot } from '../../../manifest/tuf/snapshot.ts';
import { parseTargets } from '../../../manifest/tuf/targets.ts';
import { parseTimestamp } from '../../../manifest/tuf/timestamp.ts';
import { updateTimestamp } from '../../../manifest/tuf/trusted-set.ts';
import {
  KEYS,
  NOW,
  codeOf,
  delegatingJson,
  expectRefused,
  publish,
  publishAll,
  resign,
  rootJson,
  trust,
  utf8,
} from './repository.ts';

const files = publish();
const padded = (file: Uint8Array, size: number): Uint8Array =>
  utf8(new TextDecoder().decode(file) + ' '.repeat(size - file.length));

test.for([
  ['root', parseRoot, LIMITS.rootBytes],
  ['timestamp', parseTimestamp, LIMITS.timestampBytes],
  ['snapshot', parseSnapshot, LIMITS.snapshotBytes],
  ['targets', parseTargets, LIMITS.targetsBytes],
] as const)('%s', ([role, parse, limit]) => {
  expect(codeOf(() => parse(padded(files[role], limit)))).toBeUndefined();
  expect(codeOf(() => parse(padded(files[role], limit + 1)))).toBe('json-too-large');
});

test('a timestamp one byte too large', () => {
  const next = publishAll(2).timestamp;
  expectRefused(
    trust(publishAll(1)),
    'json-too-large',
    (set) => updateTimestamp(set, padded(next, LIMITS.timestampBytes + 1), NOW),
    (set) => updateTimestamp(set, padded(next, LIMITS.timestampBytes), NOW),
  );
});

describe('values', () => {
  const list = (count: number): Uint8Array => utf8(`[${Array(count).fill('0').join()}]`);

  test('as many as allowed', () => {
    expect(parseJson(list(LIMITS.jsonValues), LIMITS.targetsBytes)).toHaveLength(LIMITS.jsonValues);
  });

  test('one more', () => {
    expect(codeOf(() => parseJson(list(LIMITS.jsonValues + 1), LIMITS.targetsBytes))).toBe(
      'json-too-many-values',
    );
  });

  test('commas inside strings are no values', () => {
    const text = JSON.stringify(','.repeat(LIMITS.jsonValues + 1));
    expect(parseJson(utf8(text), LIMITS.targetsBytes)).toHaveLength(LIMITS.jsonValues + 1);
  });
});

test('more signatures than allowed', () => {
  const signers = Array.from({ length: LIMITS.signatures + 1 }, (_, i) => ({
    ...KEYS.root,
    keyid: String(i),
  }));
  expect(codeOf(() => parseRoot(resign(rootJson(), ...signers)))).toBe('metadata-malformed');
  expect(codeOf(() => parseRoot(resign(rootJson(), ...signers.slice(1))))).toBeUndefined();
});

test('more keys in a role than allowed', () => {
  const rootWith = (count: number): Uint8Array => {
    const root = rootJson();
    const keyids = Array.from({ length: count }, (_, i) => String(i));
    return resign({ ...root, roles: { ...(root['roles'] as JsonObject), root: { keyids, threshold: 1 } } });
  };
  expect(codeOf(() => parseRoot(rootWith(LIMITS.keysPerRole)))).toBeUndefined();
  expect(codeOf(() => parseRoot(rootWith(LIMITS.keysPerRole + 1)))).toBe('metadata-malformed');
});

test('more delegations than allowed', () => {
  const roles = Array.from({ length: LIMITS.delegations + 1 }, (_, i) => ({
    name: `n${i}`,
    keyids: [],
    threshold: 1,
    paths: [],
    terminating: true,
  }));
  const file = (list: typeof roles): Uint8Array =>
    resign(delegatingJson({ delegations: { keys: {}, roles: list } }));
  expect(codeOf(() => parseTargets(file(roles)))).toBe('metadata-malformed');
  expect(codeOf(() => parseTargets(file(roles.slice(1))))).toBeUndefined();
});
