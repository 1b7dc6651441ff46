// What is signed: one JSON value has exactly one canonical form.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { canonicalJson } from '../../../manifest/canonical-json.ts';
import { parseJson } from '../../../manifest/json.ts';
import type { Json, JsonObject } from '../../../manifest/json.ts';
import { codeOf, utf8 } from './repository.ts';
import { vectors } from './vectors.ts';

const { accepted, refused } = vectors('canonical-json') as {
  accepted: { name: string; json: string; canonical: string }[];
  refused: { code: string; json: string }[];
};
const canonical = (text: string): string =>
  new TextDecoder().decode(canonicalJson(parseJson(utf8(text), 1 << 20)));

describe('vectors', () => {
  test.for(accepted)('$name', ({ json, canonical: wanted }) => {
    expect(canonical(json)).toBe(wanted);
  });

  test.for(refused)('$code: $json', ({ json, code }) => {
    expect(codeOf(() => canonical(json))).toBe(code);
  });
});

/** JSON values of strings, integers and what holds them. */
const json = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.string({ unit: 'binary' }),
    fc.maxSafeInteger().map((n) => n + 0),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value')),
    fc.dictionary(
      fc.string({ unit: 'binary' }).filter((key) => key !== '__proto__'),
      tie('value'),
      { noNullPrototype: true },
    ),
  ),
})).value;

test('the order of members and white space change nothing', () => {
  const shuffled = (value: Json): Json => {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return (value as Json[]).map(shuffled);
    const members = Object.entries(value as JsonObject).map(
      ([key, member]) => [key, shuffled(member)] as const,
    );
    return Object.fromEntries(members.toReversed());
  };
  const same = fc.property(json, (value) => {
    expect(canonical(JSON.stringify(shuffled(value), null, 2))).toBe(canonical(JSON.stringify(value)));
  });
  fc.assert(same, { numRuns: 300 });
});

test('without control characters it is JSON again, with the same canonical form', () => {
  const idempotent = fc.property(json, (value) => {
    const once = canonical(JSON.stringify(value));
    if (/[\0-\x1f]/.test(once)) return;
    expect(JSON.parse(once)).toEqual(value);
    expect(canonical(once)).toBe(once);
  });
  fc.assert(idempotent, { numRuns: 300 });
});

test('keys are in code point order', () => {
  const keys = fc.uniqueArray(
    fc.string({ unit: 'binary', minLength: 1 }).filter((key) => key !== '__proto__'),
  );
  const ordered = fc.property(keys, (names) => {
    const points = (text: string): number[] => Array.from(text, (char) => char.codePointAt(0)!);
    const compare = (a: string, b: string): number => {
      const [x, y] = [points(a), points(b)];
      const at = x.findIndex((point, i) => point !== y[i]);
      return at === -1 ? x.length - y.length : x[at]! - (y[at] ?? -1);
    };
    const text = new TextDecoder().decode(canonicalJson(Object.fromEntries(names.map((name) => [name, 0]))));
    const wanted = names.toSorted(compare).map((name) => `"${name.replace(/["\\]/g, '\\$&')}":0`);
    expect(text).toBe(`{${wanted.join()}}`);
  });
  fc.assert(ordered, { numRuns: 300 });
});

test.for([[NaN], [Infinity], [0.5], [-0], [2 ** 53], ['\ud800'], [{ '\udfff': 1 }]])(
  '%j is refused',
  ([value]) => {
    expect(codeOf(() => canonicalJson(value as Json))).toBe('json-not-canonical');
  },
);
