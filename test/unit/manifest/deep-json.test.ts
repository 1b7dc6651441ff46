// Nesting is bounded before anything is built from the text.
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../../manifest/canonical-json.ts';
import { parseJson } from '../../../manifest/json.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import { updateTimestamp } from '../../../manifest/tuf/trusted-set.ts';
import { NOW, codeOf, expectRefused, publishAll, trust, utf8 } from './repository.ts';

const arrays = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const objects = (depth: number): string => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
const parse = (text: string) => parseJson(utf8(text), LIMITS.targetsBytes);

describe.for([
  ['arrays', arrays],
  ['objects', objects],
] as const)('%s', ([, nest]) => {
  test('as deep as allowed', () => {
    const value = parse(nest(LIMITS.jsonDepth));
    expect(new TextDecoder().decode(canonicalJson(value))).toBe(nest(LIMITS.jsonDepth));
  });

  test.for([LIMITS.jsonDepth + 1, 100_000])('%d levels', (depth) => {
    expect(codeOf(() => parse(nest(depth)))).toBe('json-too-deep');
  });
});

test('millions of brackets cost one short scan, closed or not', () => {
  for (const text of ['['.repeat(LIMITS.targetsBytes), '{"a":'.repeat(1_000_000)]) {
    expect(codeOf(() => parse(text))).toBe('json-too-deep');
  }
});

test('brackets inside strings nest nothing', () => {
  const text = JSON.stringify(['['.repeat(1000), '"{'.repeat(1000)]);
  expect(parse(text)).toEqual(JSON.parse(text));
});

test('a deep timestamp', () => {
  const next = publishAll(2).timestamp;
  const deep = new TextDecoder().decode(next).replace('"version":2,', `"version":2,"more":${arrays(40)},`);
  expectRefused(
    trust(publishAll(1)),
    'json-too-deep',
    (set) => updateTimestamp(set, utf8(deep), NOW),
    (set) => updateTimestamp(set, next, NOW),
  );
});
