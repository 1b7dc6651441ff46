// Names: what they may be, and that nothing else passes.
import { describe, expect, test } from 'vitest';
import {
  parseFileName,
  parseHostName,
  parseNamespace,
  parsePoolName,
  parseRealmId,
  parseSecretName,
  parseSecretReference,
  parseWorkload,
  targetPath,
} from '../../../manifest/names.ts';
import { codeOf } from './repository.ts';
import { vectors } from './vectors.ts';

interface Texts {
  readonly valid: string[];
  readonly invalid: string[];
}
const names = vectors('names') as Record<
  'namespace' | 'secret' | 'workload' | 'file' | 'pool' | 'host' | 'realm',
  Texts
> & {
  reference: {
    valid: { text: string; namespace: string; name: string; version?: number }[];
    invalid: string[];
  };
};

describe.for([
  ['namespace', parseNamespace, names.namespace],
  ['secret', parseSecretName, names.secret],
  ['workload', parseWorkload, names.workload],
  ['file', parseFileName, names.file],
  ['pool', parsePoolName, names.pool],
  ['host', parseHostName, names.host],
  ['realm', parseRealmId, names.realm],
] as const)('%s', ([, parse, { valid, invalid }]) => {
  test.for(valid)('%j', (text) => {
    expect(parse(text)).toBe(text);
  });

  test.for(invalid)('not %j', (text) => {
    expect(codeOf(() => parse(text))).toBe('name-invalid');
  });
});

describe('reference', () => {
  test.for(names.reference.valid)('$text', ({ text, ...wanted }) => {
    const reference = parseSecretReference(text);
    expect(reference).toEqual(wanted);
    if (reference.version !== undefined) {
      expect(targetPath(reference.namespace, reference.name, reference.version)).toBe(text);
    }
  });

  test.for(names.reference.invalid)('not %j', (text) => {
    expect(codeOf(() => parseSecretReference(text))).toBe('name-invalid');
  });
});
