// Bytes that are not one whole JSON document: cut short, longer than it, or not UTF-8.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { parseJson } from '../../../manifest/json.ts';
import { updateTimestamp } from '../../../manifest/tuf/trusted-set.ts';
import { NOW, codeOf, expectRefused, publishAll, trust, utf8 } from './repository.ts';

const next = publishAll(2).timestamp;
const parse = (bytes: Uint8Array) => parseJson(bytes, 100_000);

test('every beginning of a timestamp', () => {
  const set = trust(publishAll(1));
  for (let length = 0; length < next.length; length++) {
    expect(codeOf(() => updateTimestamp(set, next.subarray(0, length), NOW))).toBe('json-invalid');
  }
  expectRefused(
    set,
    'json-invalid',
    (old) => updateTimestamp(old, next.subarray(0, -1), NOW),
    (old) => updateTimestamp(old, next, NOW),
  );
});

test.for(['}', '{}', ',', 'x', '\0', '\ufeff', '"', '[', '\\'])('a whole timestamp and then %j', (more) => {
  expectRefused(
    trust(publishAll(1)),
    'json-invalid',
    (set) => updateTimestamp(set, Buffer.concat([next, utf8(more)]), NOW),
    (set) => updateTimestamp(set, next, NOW),
  );
});

describe('not UTF-8 JSON', () => {
  test.for<[string, string]>([
    ['a byte order mark', 'efbbbf7b7d'],
    ['UTF-16', '7b007d00'],
    ['an overlong quote', '22c0a222'],
    ['a surrogate in UTF-8', '22eda08022'],
    ['a byte that never occurs', '22ff22'],
    ['a character cut off', '22e282'],
    ['nothing', ''],
    ['white space alone', '2020'],
  ])('%s', ([, hex]) => {
    expect(codeOf(() => parse(Buffer.from(hex, 'hex')))).toBe('json-invalid');
  });

  test.for([
    '{',
    '"',
    '"\\',
    '"\\"',
    '{"a',
    '{"a"',
    '{"a":',
    '{"\\x":1}',
    '{"a\n":1}',
    ']',
    '}',
    '[1,]',
    '{a:1}',
    "{'a':1}",
    '01',
    '+1',
    'NaN',
    '[1]//',
    'nope',
    '{"a":1}}',
  ])('%j', (text) => {
    expect(codeOf(() => parse(utf8(text)))).toBe('json-invalid');
  });
});

test('numbers have one spelling: that of an integer', () => {
  for (const text of [
    '1.0',
    '1e3',
    '1E3',
    '1e+3',
    '1e-3',
    '[-1.5]',
    '{"a":1.00000000000000000001}',
    '0.0',
    '[1,2e0]',
  ]) {
    expect(codeOf(() => parse(utf8(text)))).toBe('json-not-canonical');
  }
  expect(parse(utf8('[0,-1,true,false,null,"1.0","1e3",{"1.5":"E"}]'))).toHaveLength(8);
});

describe('whatever comes in, only a ManifestError comes out', () => {
  const total = (bytes: Uint8Array): void => void codeOf(() => parse(bytes));

  test('random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), total), { numRuns: 500 });
  });

  test('random text of JSON tokens', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '\\',
      '1',
      '.',
      'e',
      'E',
      '-',
      'true',
      '"a"',
      ' ',
      'é',
      '😀',
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => total(utf8(tokens.join('')))),
      { numRuns: 2000 },
    );
  });

  test('random JSON is either refused or read as V8 reads it', () => {
    const accepted = fc.property(fc.json(), (text) => {
      if (codeOf(() => parse(utf8(text))) === undefined) expect(parse(utf8(text))).toEqual(JSON.parse(text));
    });
    fc.assert(accepted, { numRuns: 500 });
  });
});
