// What is hashed and signed is made from the text, without building it: for every text it must be exactly the canonical
// form of the value that is read, and exactly the same texts must be refused as by the plain way, which stands here.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { canonicalJson } from '../../../manifest/canonical-json.ts';
import { ManifestError } from '../../../manifest/errors.ts';
import type { ManifestCode } from '../../../manifest/errors.ts';
import type { Json, JsonObject } from '../../../manifest/json.ts';
import { parseFigures, parseJson, parseJsonAround } from '../../../manifest/json.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import { utf8 } from './repository.ts';

const RUNS = { numRuns: 500 };
const MOST = 1 << 20;

/** Nothing where there is no member `signed`. */
type Outcome = { value: Json; canonical: string | undefined } | { code: ManifestCode };

function outcome(read: () => { value: Json; canonical?: Uint8Array }): Outcome {
  try {
    const { value, canonical } = read();
    return { value, canonical: canonical && Buffer.from(canonical).toString() };
  } catch (error) {
    if (error instanceof ManifestError) return { code: error.code };
    throw error;
  }
}

const scanned = (text: string): Outcome => outcome(() => parseJsonAround(utf8(text), MOST, 'signed'));

/** Builds the value first, looks for what is refused with regular expressions, and encodes what it has built. */
function plain(text: string): Outcome {
  return outcome(() => {
    let value: Json;
    try {
      value = JSON.parse(text) as Json;
    } catch {
      throw new ManifestError('json-invalid', '');
    }
    const bare = text.replace(/"(?:[^"\\]|\\.)*"/gs, '"');
    const refuse = (isSo: boolean, code: ManifestCode): void => {
      if (isSo) throw new ManifestError(code, '');
    };
    refuse(/\d[.eE]/.test(bare), 'json-not-canonical');
    refuse(depthOf(bare) > LIMITS.jsonDepth, 'json-too-deep');
    refuse(hasForbidden(value), 'json-forbidden-key');
    refuse(membersOf(value) !== bare.split(':').length - 1, 'json-duplicate-key');
    const signed = isObject(value) && !Array.isArray(value) ? value['signed'] : undefined;
    return { value, ...(signed === undefined ? {} : { canonical: canonicalJson(signed) }) };
  });
}

function depthOf(bare: string): number {
  let [depth, most] = [0, 0];
  for (const char of bare) {
    if (char === '[' || char === '{') most = Math.max(most, ++depth);
    if (char === ']' || char === '}') depth--;
  }
  return most;
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null;
}

function childrenOf(value: Json): readonly Json[] {
  return isObject(value) ? Object.values<Json>(value) : [];
}

function hasForbidden(value: Json): boolean {
  return (isObject(value) && Object.hasOwn(value, '__proto__')) || childrenOf(value).some(hasForbidden);
}

function membersOf(value: Json): number {
  const own = Array.isArray(value) ? 0 : childrenOf(value).length;
  return childrenOf(value).reduce<number>((sum, child) => sum + membersOf(child), own);
}

/** Texts of JSON as somebody might write it: every spelling of strings and numbers, white space, members in any order. */
const space = fc.constantFrom('', '', '', '', ' ', '\n\t');
const rarely = (good: fc.Arbitrary<string>, ...bad: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 100, arbitrary: good }, { weight: 1, arbitrary: fc.constantFrom(...bad) });
const char = rarely(
  fc.oneof(
    fc.constantFrom('a', 'b', 'é', '€', '\uffff', '😀', ',', ':', '{', ']', ' ', '1.5'),
    fc.constantFrom('a', 'b', 'c', '\\"', '\\\\', '\\/', '\\n', '\\u0061', '\\u0000', '\\ud83d\\ude00'),
  ),
  '\\ud800',
);
const string = fc.array(char, { maxLength: 4 }).map((chars) => `"${chars.join('')}"`);
const key = rarely(
  fc.oneof(
    string,
    fc.nat(1000).map((n) => `"${n}"`),
  ),
  ...['"signed"', '"sign\\u0065d"', '"__proto__"', '"__proto_\\u005f"'],
);
const primitive = rarely(
  fc.oneof(
    string,
    fc.maxSafeInteger().map(String),
    fc.constantFrom('0', '-1', '999999999999999', 'true', 'null'),
  ),
  ...['-0', '1.0', '1e3', '9007199254740992'],
);
const list = (open: string, close: string, parts: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc
    .tuple(space, fc.array(fc.tuple(space, parts, space), { maxLength: 20, size: 'small' }))
    .map(([inner, each]) => open + (each.map((part) => part.join('')).join() || inner) + close);
const document = fc.letrec<{ value: string; member: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    primitive,
    list('[', ']', tie('value')),
    list('{', '}', tie('member')),
    list('{', '}', tie('member')),
  ),
  member: fc.tuple(key, space, space, tie('value')).map(([name, a, b, value]) => `${name}${a}:${b}${value}`),
})).value;
const file = fc
  .tuple(
    document,
    space,
    rarely(fc.constantFrom('', ',"signatures":[]', ',"a" : "\\\\"'), ',"signed":1'),
    space,
  )
  .map(([signed, a, more, b]) => `${a}{"signed":${signed}${more}}${b}`);

describe('the same is accepted, read, hashed and refused as the plain way', () => {
  const same = (text: string): void => {
    const [found, wanted] = [scanned(text), plain(text)];
    // Of several faults either may be told.
    if ('code' in wanted) expect(found).toHaveProperty('code');
    else expect(found).toEqual(wanted);
  };

  test('files in any spelling', () => {
    fc.assert(fc.property(file, same), RUNS);
  });

  test('any document', () => {
    fc.assert(fc.property(document, same), RUNS);
  });

  test('files with one character changed, gone or too many', () => {
    const mutation = fc.tuple(
      file,
      fc.nat(),
      fc.nat(1),
      fc.constantFrom(
        '',
        '"',
        '\\',
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        ' ',
        '0',
        '-',
        '.',
        'e',
        'a',
        '\0',
        '\ufeff',
      ),
    );
    const mutated = fc.property(mutation, ([text, where, gone, there]) => {
      const at = where % (text.length + 1);
      const changed = text.slice(0, at) + there + text.slice(at + gone);
      // UTF-8 holds no half of a surrogate pair.
      if (changed.isWellFormed()) same(changed);
    });
    fc.assert(mutated, RUNS);
  });

  test('canonical files, whose bytes are not copied', () => {
    const canonical = fc.property(document, (text) => {
      const built = plain(`{"signed":${text}}`);
      if (!('canonical' in built) || built.canonical === undefined || /[\0-\x1f]/.test(built.canonical))
        return;
      const bytes = utf8(`{"signed":${built.canonical},"signatures":[]}`);
      const again = parseJsonAround(bytes, MOST, 'signed').canonical;
      expect(Buffer.from(again ?? []).toString()).toBe(built.canonical);
      const isCopied = built.canonical.includes('\\') || /[^\0-\x7f]/.test(built.canonical);
      expect(again?.buffer === bytes.buffer).toBe(!isCopied);
    });
    fc.assert(canonical, RUNS);
  });
});

describe('figures', () => {
  const figures = (text: string, most?: number): Outcome =>
    outcome(() => ({ value: parseFigures(utf8(text), MOST, most) }));
  /** The plain way, which meets no number but integers. */
  const whole = (text: string): Outcome => plain(`[${text.replaceAll(/(\d)\.\d+|(\d)e[+-]?\d+/gi, '$1$2')}]`);
  const spelled = fc.constantFrom('1.5', '-0.25', '1e3', '2.5E-7', '1e+2', '0.1e1', '7', '-0');
  const mixed = fc
    .array(fc.tuple(key, fc.oneof(spelled, document)), { maxLength: 8 })
    .map((members) => `{${members.map(([name, value]) => `${name}:${value}`).join()}}`);

  test('are read with fractions and exponents; all else is refused as elsewhere', () => {
    const isRead = fc.property(mixed, (text) => {
      const found = figures(text);
      if ('code' in found) expect(whole(text)).toHaveProperty('code');
      else expect(found.value).toEqual(JSON.parse(text));
    });
    fc.assert(isRead, RUNS);
  });

  test.for([
    ['{"a":1.5,"a":1.5}', 'json-duplicate-key'],
    ['{"a":1.5,"__proto__":1.5}', 'json-forbidden-key'],
    ['[1.5.2]', 'json-invalid'],
    ['[1e]', 'json-invalid'],
    ['[.5]', 'json-invalid'],
    ['[+1.5]', 'json-invalid'],
    [`${'['.repeat(33)}${']'.repeat(33)}`, 'json-too-deep'],
    ['[1.5,2.5,3.5]', 'json-too-many-values'],
  ] as const)('%s: %s', ([text, code]) => {
    expect(figures(text, 2)).toEqual({ code });
  });
});

describe('what the generators rarely meet', () => {
  const codeOf = (text: string): string => {
    const found = scanned(text);
    return 'code' in found ? found.code : 'accepted';
  };
  const canonicalOf = (text: string): string | undefined => {
    const found = scanned(`{"signed":${text}}`);
    return 'code' in found ? found.code : found.canonical;
  };

  test.for([
    ['{"signed":1,"signed":1}', 'json-duplicate-key'],
    ['{"signed":1,"a":2,"signed":1}', 'json-duplicate-key'],
    ['{"signed":{},"sign\\u0065d":{}}', 'json-duplicate-key'],
    ['{"signed":{"b":1,"a":2,"b":3}}', 'json-duplicate-key'],
    ['{"signed":{"__proto\\u005f_":1}}', 'json-forbidden-key'],
    ['{"signed":1} {"signed":1}', 'json-invalid'],
    ['{"signed":{"a":1},}', 'json-invalid'],
    ['{"signed":01}', 'json-invalid'],
    ['{"signed":"\t"}', 'json-invalid'],
    ['{"signed":"\\x"}', 'json-invalid'],
    ['{"signed":"a}', 'json-invalid'],
    ['{"signed":"a\\"}', 'json-invalid'],
    ['{"signed":tru}', 'json-invalid'],
    ['{"signed":1e2}', 'json-not-canonical'],
    ['{"signed":1.0}', 'json-not-canonical'],
    ['{"signed":-0}', 'json-not-canonical'],
    ['{"signed":9007199254740992}', 'json-not-canonical'],
    ['{"signed":"\\ud800"}', 'json-not-canonical'],
    ['{"other":-0,"signed":1}', 'accepted'],
    ['{"signed":1,"other":-0}', 'accepted'],
    ['{"a":{"signed":-0}}', 'accepted'],
  ] as const)('%s: %s', ([text, code]) => {
    expect(codeOf(text)).toBe(code);
  });

  test.for([
    ['{"b":1,"a":2}', '{"a":2,"b":1}'],
    ['{"a":1 ,"b":2}', '{"a":1,"b":2}'],
    ['{"a" :1}', '{"a":1}'],
    ['{"a": 1}', '{"a":1}'],
    ['{ }', '{}'],
    ['[ ]', '[]'],
    ['[1, 2]', '[1,2]'],
    ['{"ab":1,"a":2,"":3}', '{"":3,"a":2,"ab":1}'],
    ['{"a":"\\u0062"}', '{"a":"b"}'],
    ['{"\\u0062":1,"a":2}', '{"a":2,"b":1}'],
    ['{"😀":1,"\uffff":2}', '{"\uffff":2,"😀":1}'],
    ['{"a":{"d":1,"c":[{"f":1,"e":2}]},"b":[]}', '{"a":{"c":[{"e":2,"f":1}],"d":1},"b":[]}'],
  ] as const)('%s', ([text, canonical]) => {
    expect(canonicalOf(text)).toBe(canonical);
  });

  test('many members, the last one first', () => {
    const names = Array.from({ length: 100 }, (_, i) => `"n${String(i).padStart(3, '0')}":${i}`);
    expect(canonicalOf(`{${names.toReversed().join()}}`)).toBe(`{${names.join()}}`);
    expect(canonicalOf(`{${[...names, names[50]!].join()}}`)).toBe('json-duplicate-key');
  });

  test('no member is wanted', () => {
    expect(parseJsonAround(utf8('{"a":1}'), MOST, 'signed')).toEqual({ value: { a: 1 } });
    expect(parseJson(utf8('{"signed":-0}'), MOST)).toEqual({ signed: -0 });
  });
});
