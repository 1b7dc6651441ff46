// Names that JavaScript objects carry by themselves: they are ordinary names here, or refused; never looked up.
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../../manifest/canonical-json.ts';
import { parseJson } from '../../../manifest/json.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseNamespace, parseSecretName } from '../../../manifest/names.ts';
import { encodeNews, parseNews } from '../../../manifest/realm/exchange.ts';
import { readSecrets } from '../../../manifest/realm/secret.ts';
import { currentRole, trustRoot, updateTargets } from '../../../manifest/tuf/trusted-set.ts';
import {
  KEYS,
  NOW,
  codeOf,
  expectRefused,
  publishAll,
  resign,
  rootJson,
  targetsJson,
  trust,
  unsignedTargets,
  update,
  utf8,
} from './repository.ts';

const INHERITED = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'isPrototypeOf'];

describe('__proto__ is refused as a key, however it is written', () => {
  test.for(['{"__proto__":1}', '{"\\u005f_proto__":{}}', '[{"a":{"__proto__":null}}]', '{"__proto__" : []}'])(
    '%s',
    (text) => {
      expect(codeOf(() => parseJson(utf8(text), 1000))).toBe('json-forbidden-key');
    },
  );

  test('as a value it is a string like any other', () => {
    expect(parseJson(utf8('["__proto__"]'), 1000)).toEqual(['__proto__']);
  });
});

test('canonical JSON keeps and sorts inherited names', () => {
  const value = parseJson(utf8('{"toString":1,"constructor":2}'), 1000);
  expect(new TextDecoder().decode(canonicalJson(value))).toBe('{"constructor":2,"toString":1}');
});

test.for(INHERITED)('no role named %s is found unless it was delegated', (name) => {
  const files = publishAll(1);
  const set = trust(files);
  expect(currentRole(set, name)).toBeUndefined();
  expectRefused(
    set,
    'role-unknown',
    (old) => updateTargets(old, name, files.payments, NOW),
    (old) => update(old, publishAll(2), NOW),
  );
});

test.for(INHERITED)('a role of root is not inherited: %s', (name) => {
  const root = rootJson();
  const roles = { ...(root['roles'] as JsonObject), root: { keyids: [name], threshold: 1 } };
  const file = resign({ ...root, roles }, { ...KEYS.root, keyid: name });
  expect(codeOf(() => trustRoot(file))).toBe('signature-threshold');
});

test('a namespace and a secret named constructor are ordinary', () => {
  const namespace = parseNamespace('constructor');
  const custom = {
    version: 1,
    grants: [],
    timing: { overlap: { seconds: 0 } },
    revokedThrough: 0,
    revoked: [],
    keys: [{ kid: 'k', epoch: 1, jwe: 'j' }],
  };
  const file = { length: 1, hashes: { sha256: '00'.repeat(32) }, custom };
  const secrets = readSecrets(unsignedTargets({ 'constructor/toString@1': file }), namespace);
  expect([...secrets.keys()]).toEqual([parseSecretName('toString')]);
});

test('a custom block inherits nothing', () => {
  const file = resign(
    targetsJson({ targets: { 'payments/a@1': { length: 1, hashes: {}, custom: {} } } }),
    KEYS.payments,
  );
  expect(codeOf(() => updateTargets(trust(publishAll(1)), 'payments', file, NOW))).toBe('length-mismatch');
});

test('news may carry a file of any name', () => {
  const files = new Map([['constructor', utf8('a')]]);
  const body = utf8(JSON.stringify(encodeNews({ timestamp: utf8('t'), files })));
  expect([...parseNews(body).files.keys()]).toEqual(['constructor']);
});
