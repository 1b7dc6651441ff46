// Whatever stands twice where it may stand once: two readers could disagree which one counts.
import { describe, expect, test } from 'vitest';
import type { Json, JsonObject } from '../../../manifest/json.ts';
import { parseJson } from '../../../manifest/json.ts';
import { parseTargets } from '../../../manifest/tuf/targets.ts';
import { trustRoot, updateTimestamp } from '../../../manifest/tuf/trusted-set.ts';
import {
  KEYS,
  NOW,
  codeOf,
  delegatingJson,
  expectRefused,
  publishAll,
  resign,
  rootJson,
  trust,
  utf8,
} from './repository.ts';

describe('members of one JSON object', () => {
  test.for([
    '{"a":1,"a":1}',
    '{"a":1,"b":{},"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"x":[{"a":1 , "a" :2}]}',
    '{"":1,"":2}',
    '{"a\\"":1,"a\\u0022":2}',
    '{"a":{"b":1},"a"\n:2}',
  ])('%s', (text) => {
    expect(codeOf(() => parseJson(utf8(text), 1000))).toBe('json-duplicate-key');
  });

  test.for([
    '{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}',
    '["a","a"]',
    '{"a":"a","b":"a"}',
    '{"a":":","b":"a\\":"}',
  ])('%s is no duplicate', (text) => {
    expect(parseJson(utf8(text), 1000)).toEqual(JSON.parse(text));
  });
});

test('a timestamp whose version stands twice, the signed one second', () => {
  const next = publishAll(2).timestamp;
  const text = new TextDecoder().decode(next).replace('"version":2,', '"version":9,"version":2,');
  expectRefused(
    trust(publishAll(1)),
    'json-duplicate-key',
    (set) => updateTimestamp(set, utf8(text), NOW),
    (set) => updateTimestamp(set, next, NOW),
  );
});

test('two signatures under one key id', () => {
  expect(codeOf(() => trustRoot(resign(rootJson(), KEYS.root, KEYS.root)))).toBe('metadata-malformed');
});

test('a key id twice in one role', () => {
  const root = rootJson();
  const roles = {
    ...(root['roles'] as JsonObject),
    root: { keyids: [KEYS.root.keyid, KEYS.root.keyid], threshold: 2 },
  };
  expect(codeOf(() => trustRoot(resign({ ...root, roles }, KEYS.root)))).toBe('metadata-malformed');
});

test('one role delegated twice', () => {
  const delegations = delegatingJson()['delegations'] as JsonObject;
  const [role] = delegations['roles'] as readonly Json[];
  const twice = delegatingJson({ delegations: { ...delegations, roles: [role!, role!] } });
  expect(codeOf(() => parseTargets(resign(twice, KEYS.targets)))).toBe('metadata-malformed');
});
