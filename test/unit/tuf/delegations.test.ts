// Whom a role delegates a path to, and in which order roles are asked for it (TUF 1.0.34 §4.5, §5.6.7; TAP 15).
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ManifestError } from '../../../manifest/errors.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import {
  Search,
  delegatedKeys,
  isStillDelegated,
  parseDelegations,
} from '../../../manifest/tuf/delegations.ts';
import { newSigner } from '../../conformance/simulator.ts';

const [one, other] = [newSigner(), newSigner()];
const KEYS = { [one.keyid]: one.json, [other.keyid]: other.json };

function role(name: string, members: JsonObject = { paths: ['*'] }): JsonObject {
  return { name, keyids: [one.keyid], threshold: 1, terminating: false, ...members };
}

function delegating(...roles: readonly JsonObject[]) {
  return parseDelegations({ keys: KEYS, roles });
}

function succinct(members: JsonObject = {}) {
  const all = { keyids: [one.keyid], threshold: 1, bit_length: 4, name_prefix: 'bin', ...members };
  return parseDelegations({ keys: KEYS, succinct_roles: all });
}

function asked(path: string, delegations: ReturnType<typeof delegating>): readonly string[] {
  const search = new Search(path);
  expect(search.next()).toEqual({ name: 'targets', delegator: 'root' });
  search.ask(delegations, 'targets');
  const names: string[] = [];
  for (let visit = search.next(); visit; visit = search.next()) names.push(visit.name);
  return names;
}

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof ManifestError) return error.code;
    throw error;
  }
}

describe('a pattern', () => {
  test.for([
    ['*', 'file', true],
    ['*', '.hidden', true],
    ['*', '', true],
    ['*', 'a/file', false],
    ['*/*', 'a/file', true],
    ['*/*', '/file', true],
    ['a/*', 'a/b/c', false],
    ['**', 'a/b', false],
    ['?', '', false],
    ['?', '/', false],
    ['?', '\u{1f511}', true],
    ['foo-?.tgz', 'foo-1.tgz', true],
    ['foo-?.tgz', 'foo-12.tgz', false],
    ['*.tgz', 'a.tgz.tgz', true],
    ['a*b*c', 'axxbyybc', true],
    ['a*b*c', 'axxbyyb', false],
    ['*a', 'b', false],
    ['[ab]', 'a', false],
    ['[ab]', '[ab]', true],
    ['a.c', 'abc', false],
    ['File', 'file', false],
    ['', '', true],
    ['', 'a', false],
  ] as const)('%j, path %j: %s', ([pattern, path, matches]) => {
    expect(asked(path, delegating(role('r', { paths: [pattern] })))).toEqual(matches ? ['r'] : []);
  });

  test('takes no time that explodes', () => {
    const pattern = `${'*a'.repeat(2000)}b`;
    expect(asked('a'.repeat(4000), delegating(role('r', { paths: [pattern] })))).toEqual([]);
  });
});

describe('hash prefixes', () => {
  const hash = createHash('sha256').update('a/ä').digest('hex');

  test('own the paths whose hash begins so', () => {
    const bins = Array.from({ length: 16 }, (_, i) =>
      role(`bin-${i.toString(16)}`, { path_hash_prefixes: [i.toString(16)] }),
    );
    expect(asked('a/ä', delegating(...bins))).toEqual([`bin-${hash[0]!}`]);
    expect(asked('a/ä', delegating(role('whole', { path_hash_prefixes: ['00', hash] })))).toEqual(['whole']);
  });

  test.for(['', 'G', 'AB', `${hash}0`, 7])('%j is none', (prefix) => {
    expect(codeOf(() => delegating(role('r', { path_hash_prefixes: [prefix] })))).toBe('metadata-malformed');
  });
});

describe('succinct roles', () => {
  // sha256('file3') begins with 6f3fef6d.
  test.for([
    [1, 'bin-0'],
    [3, 'bin-3'],
    [4, 'bin-6'],
    [5, 'bin-0d'],
    [8, 'bin-6f'],
  ] as const)('%i bits', ([bits, name]) => {
    expect(asked('file3', succinct({ bit_length: bits }))).toEqual([name]);
  });

  test('32 bits are the first eight digits', () => {
    const hash = createHash('sha256').update('x').digest('hex');
    expect(asked('x', succinct({ bit_length: 32 }))).toEqual([`bin-${hash.slice(0, 8)}`]);
  });

  test.for([
    ['bin-0', 3, true],
    ['bin-7', 3, true],
    ['bin-8', 3, false],
    ['bin-00', 3, false],
    ['bin-A', 4, false],
    ['bin-', 4, false],
    ['bin', 4, false],
    ['other-0', 4, false],
    ['bin-1f', 5, true],
    ['bin-20', 5, false],
  ] as const)('%s of %i bits: %s', ([name, bits, isOne]) => {
    expect(delegatedKeys(succinct({ bit_length: bits }), name) !== undefined).toBe(isOne);
  });

  test.for([{ bit_length: 0 }, { bit_length: 33 }, { name_prefix: '' }, { name_prefix: 1 }, { keyids: 1 }])(
    'malformed: %j',
    (members) => {
      expect(codeOf(() => succinct(members))).toBe('metadata-malformed');
    },
  );
});

describe('exactly one', () => {
  test.for<[string, JsonObject]>([
    ['of roles and succinct_roles: none', { keys: {} }],
    ['of roles and succinct_roles: both', { keys: {}, roles: [], succinct_roles: {} }],
    ['of paths and path_hash_prefixes: none', { keys: KEYS, roles: [role('r', {})] }],
    [
      'of paths and path_hash_prefixes: both',
      { keys: KEYS, roles: [role('r', { paths: ['*'], path_hash_prefixes: ['0'] })] },
    ],
    ['role of a name', { keys: KEYS, roles: [role('r'), role('r')] }],
  ])('%s', ([, value]) => {
    expect(codeOf(() => parseDelegations(value))).toBe('metadata-malformed');
  });
});

test.for(['', 'root', 'timestamp', 'snapshot', 'targets'])('no delegated role is called %j', (name) => {
  expect(codeOf(() => delegating(role(name)))).toBe('name-invalid');
});

test('a search ends at a bound', () => {
  const most = LIMITS.visitedRoles;
  const roles = (count: number) => delegating(...Array.from({ length: count }, (_, i) => role(`r${i}`)));
  expect(asked('file', roles(most - 1))).toHaveLength(most - 1);
  expect(codeOf(() => asked('file', roles(most)))).toBe('search-too-long');
});

test('a terminating role forgets what waits above it, but not the roles before it', () => {
  const search = new Search('file');
  search.next();
  search.ask(delegating(role('a'), role('z')), 'targets');
  expect(search.next()?.name).toBe('a');
  search.ask(delegating(role('b'), role('c', { paths: ['*'], terminating: true }), role('d')), 'a');
  expect(search.next()).toEqual({ name: 'b', delegator: 'a' });
  expect(search.next()?.name).toBe('c');
  expect(search.next()).toBeUndefined();
});

test('a role is still delegated while its keys are the same ones', () => {
  const before = delegating(role('r'));
  const is = (after: ReturnType<typeof delegating>) => isStillDelegated(before, after, 'r');
  expect(is(delegating(role('x'), role('r', { paths: ['other'] })))).toBe(true);
  expect(is(delegating(role('r', { paths: [], keyids: [other.keyid] })))).toBe(false);
  expect(is(delegating(role('r', { paths: [], threshold: 2 })))).toBe(false);
  expect(is(delegating(role('x')))).toBe(false);
  expect(isStillDelegated(succinct(), succinct({ bit_length: 8 }), 'bin-0')).toBe(false);
  expect(isStillDelegated(succinct(), succinct(), 'bin-0')).toBe(true);
});
