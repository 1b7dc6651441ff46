// What targets lets a namespace ask of hosts.
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { parsePoolName } from '../../../manifest/names.ts';
import { policyJson, readPolicy } from '../../../manifest/realm/policy.ts';
import { publicHalf } from '../../../manifest/realm/pool-key.ts';
import { keyJson, recipientOf } from '../../../manifest/realm/recipient.ts';
import { CUSTODIAN, POLICY, codeOf, privateKey } from './repository.ts';

const json = policyJson(POLICY);
const custodian = keyJson(CUSTODIAN.key);
const read = (change: JsonObject) => readPolicy({ ...json, ...change }, 'policy');
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `p${i}`);

test('what is written is read', () => {
  const full = {
    ...POLICY,
    pools: ['a', 'b'].map(parsePoolName),
    leaseSeconds: 30,
    whenStale: 'serve',
  } as const;
  expect(readPolicy(policyJson(full), 'policy')).toEqual(full);
  expect(readPolicy(json, 'policy')).toEqual(POLICY);
});

test('custodians are people: recipients of epoch 0, named by their thumbprint', () => {
  expect(read({}).custodians).toEqual([recipientOf(CUSTODIAN.key)]);
});

test('what this version does not know allows nothing', () => {
  expect(read({ responses: ['kill'] })).toEqual(POLICY);
});

test('as many recipients as a version may have', () => {
  expect(read({ pools: names(63) }).pools).toHaveLength(63);
  expect(codeOf(() => read({ pools: names(64) }))).toBe('policy-malformed');
});

describe('refused', () => {
  const signing = { ...custodian, crv: 'Ed25519' };
  const { x: raw } = privateKey('x25519', 3).export({ format: 'jwk' });
  const other = keyJson(publicHalf(privateKey('x25519', 3)));
  test.for<[string, JsonObject]>([
    ['policy-malformed', { pools: [] }],
    ['policy-malformed', { pools: ['a', 'a'] }],
    ['policy-malformed', { custodians: [] }],
    ['policy-malformed', { custodians: [custodian, other, custodian] }],
    ['name-invalid', { pools: ['A'] }],
    ['metadata-malformed', { pools: [1] }],
    ['metadata-malformed', { pools: 'default' }],
    ['metadata-malformed', { pools: names(257) }],
    ['metadata-malformed', { custodians: Array<JsonObject>(17).fill(custodian) }],
    ['metadata-malformed', { custodians: ['me'] }],
    ['key-unsupported', { custodians: [signing] }],
    ['key-unsupported', { custodians: [{ ...custodian, kty: 'EC' }] }],
    ['key-unsupported', { custodians: [{ ...custodian, x: `${raw ?? ''}=` }] }],
    ['key-unsupported', { custodians: [{ ...custodian, x: 'AAAA' }] }],
    ['metadata-malformed', { lease: 0 }],
    ['metadata-malformed', { lease: 86_401 }],
    ['metadata-malformed', { lease: '60' }],
    ['metadata-malformed', { lease: null }],
    ['metadata-malformed', { whenStale: 'ask' }],
    ['metadata-malformed', { whenStale: null }],
  ])('%s: %j', ([code, change]) => {
    expect(codeOf(() => read(change))).toBe(code);
  });

  test('what is no object', () => {
    for (const value of [undefined, null, [], 'deny']) {
      expect(codeOf(() => readPolicy(value, 'policy'))).toBe('metadata-malformed');
    }
  });
});
