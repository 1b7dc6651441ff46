// A namespace role read as secrets: the vectors, and the limits that they are too small for.
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import { parseSecretName } from '../../../manifest/names.ts';
import { readSecrets } from '../../../manifest/realm/secret.ts';
import type { LiveVersion, Secret } from '../../../manifest/realm/secret.ts';
import { PAYMENTS, codeOf, unsignedTargets } from './repository.ts';
import { vectors } from './vectors.ts';

const { accepted, refused } = vectors('secrets') as {
  accepted: { name: string; targets: JsonObject; secrets: { name: string }[] }[];
  refused: { name: string; code: string; targets: JsonObject }[];
};
const read = (targets: JsonObject): Secret[] => [...readSecrets(unsignedTargets(targets), PAYMENTS).values()];

/** A secret as the vectors write it: without the namespace and the paths. */
function model({ namespace, newest, superseded, withheld, ...secret }: Secret): object {
  const version = ({ path: _, ...live }: LiveVersion): object => live;
  expect(namespace).toBe(PAYMENTS);
  expect(withheld).toEqual(new Map());
  return { ...secret, ...(newest ? { newest: version(newest) } : {}), superseded: superseded.map(version) };
}

describe('vectors', () => {
  test.for(accepted)('$name', ({ targets, secrets }) => {
    expect(read(targets).map(model)).toEqual(secrets);
  });

  test.for(refused)('$code: $name', ({ targets, code }) => {
    expect(codeOf(() => read(targets))).toBe(code);
  });
});

const { targets } = accepted.find(({ name }) => name === 'one live version')!;
const file = targets['payments/a@1'] as { custom: JsonObject };
const withCustom = (change: JsonObject): JsonObject => ({
  'payments/a@1': { ...file, custom: { ...file.custom, ...change } },
});
const [grant] = file.custom['grants'] as [JsonObject];
const [key] = file.custom['keys'] as [JsonObject];

test('a version knows its path, and versions stand newest first', () => {
  const superseded = accepted.find(({ name }) => name.startsWith('a superseded version'))!.targets;
  const [secret] = read(superseded);
  expect([secret!.newest!.path, secret!.superseded[0]!.path]).toEqual(['payments/a@7', 'payments/a@5']);
  const reversed = Object.fromEntries(Object.entries(superseded).toReversed());
  expect(read(reversed)).toEqual(read(superseded));
});

test.for([
  ['grants', { grants: Array<JsonObject>(LIMITS.grantsPerSecret + 1).fill(grant) }],
  ['recipients', { keys: Array<JsonObject>(LIMITS.recipientsPerVersion + 1).fill(key) }],
  ['revoked numbers', { revoked: Array.from({ length: LIMITS.revokedNumbers + 1 }, (_, i) => i + 2) }],
] as const)('more %s than allowed', ([, change]) => {
  expect(codeOf(() => read(withCustom(change)))).toBe('metadata-malformed');
});

test('more secrets than allowed, and as many as allowed', () => {
  const many = (count: number): JsonObject =>
    Object.fromEntries(
      Array.from({ length: count }, (_, i) => [
        `payments/s${i}@1`,
        { ...file, custom: { ...file.custom, keys: [key] } },
      ]),
    );
  expect(read(many(LIMITS.secretsPerNamespace))).toHaveLength(LIMITS.secretsPerNamespace);
  expect(codeOf(() => read(many(LIMITS.secretsPerNamespace + 1)))).toBe('secret-malformed');
});

test('one malformed secret refuses the whole namespace', () => {
  expect(read(withCustom({}))[0]!.name).toBe(parseSecretName('a'));
  const bad = withCustom({ revokedThrough: null })['payments/a@1']!;
  expect(codeOf(() => read({ 'payments/b@1': file, 'payments/a@1': bad }))).toBe('metadata-malformed');
});
