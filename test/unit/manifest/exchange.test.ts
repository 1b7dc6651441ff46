// What travels between service and clients is read strictly, and trusted for nothing.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { Json } from '../../../manifest/json.ts';
import {
  EXCHANGE_LIMITS,
  encodeGenesis,
  encodeNews,
  encodePublish,
  parseGenesis,
  parseNews,
  parseOnlineKeys,
  parsePublish,
  parsePublished,
} from '../../../manifest/realm/exchange.ts';
import { codeOf, utf8 } from './repository.ts';

const body = (value: Json): Uint8Array => utf8(JSON.stringify(value));
const file = fc.uint8Array({ maxLength: 100 });
const genesis = encodeGenesis({ root: utf8('r'), targets: utf8('t'), lease: 60 });
const publish = encodePublish({ role: 'payments', metadata: utf8('m'), envelopes: [utf8('e')] });
const news = encodeNews({ timestamp: utf8('t'), files: new Map([['1.root.json', utf8('f')]]) });

describe('what is encoded is parsed back', () => {
  test('genesis', () => {
    const whole = fc.property(file, file, fc.integer({ min: 1, max: 86_400 }), (root, targets, lease) => {
      const parsed = parseGenesis(body(encodeGenesis({ root, targets, lease })));
      expect(parsed).toEqual({ root: Buffer.from(root), targets: Buffer.from(targets), lease });
    });
    fc.assert(whole, { numRuns: 100 });
  });

  test('publish', () => {
    const whole = fc.property(
      fc.string(),
      file,
      fc.array(file, { maxLength: 5 }),
      (role, metadata, envelopes) => {
        const parsed = parsePublish(body(encodePublish({ role, metadata, envelopes })));
        expect(parsed).toEqual({
          role,
          metadata: Buffer.from(metadata),
          envelopes: envelopes.map((one) => Buffer.from(one)),
        });
      },
    );
    fc.assert(whole, { numRuns: 100 });
  });

  test('news', () => {
    const names = fc.dictionary(
      fc.string().filter((name) => name !== '__proto__'),
      file,
      { maxKeys: 5 },
    );
    const whole = fc.property(file, names, (timestamp, files) => {
      const parsed = parseNews(body(encodeNews({ timestamp, files: new Map(Object.entries(files)) })));
      expect(Object.fromEntries(parsed.files)).toEqual(
        Object.fromEntries(Object.entries(files).map(([name, one]) => [name, Buffer.from(one)])),
      );
      expect(parsed.timestamp).toEqual(Buffer.from(timestamp));
    });
    fc.assert(whole, { numRuns: 100 });
  });

  test('published and online keys', () => {
    expect(parsePublished(body({ version: 3, timestamp: 9, more: 1 }))).toEqual({ version: 3, timestamp: 9 });
    const keys = { snapshot: 'ab'.repeat(32), timestamp: 'cd'.repeat(32) };
    expect(parseOnlineKeys(body(keys))).toEqual(keys);
  });
});

describe('base64 has one spelling', () => {
  test.for([
    'QQ',
    'QQ=',
    'QR==',
    'QQ==\n',
    ' QQ==',
    'Q Q==',
    'QQ==QQ==',
    '-_-_',
    'é',
    '=',
    7,
    null,
    ['QQ=='],
  ])('%j', (metadata) => {
    expect(codeOf(() => parsePublish(body({ ...publish, metadata })))).toBe('metadata-malformed');
    expect(codeOf(() => parsePublish(body({ ...publish, envelopes: [metadata] })))).toBe(
      'metadata-malformed',
    );
    expect(codeOf(() => parseNews(body({ ...news, files: { f: metadata } })))).toBe('metadata-malformed');
  });
});

describe('malformed', () => {
  test.for<[string, (bytes: Uint8Array) => unknown, Json]>([
    ['genesis: no lease', parseGenesis, { ...genesis, lease: null }],
    ['genesis: no lease at all', parseGenesis, { ...genesis, lease: 0 }],
    ['genesis: a lease of more than a day', parseGenesis, { ...genesis, lease: 86_401 }],
    ['genesis: no root', parseGenesis, { targets: '', lease: 60 }],
    ['genesis: a list', parseGenesis, []],
    ['publish: no role', parsePublish, { ...publish, role: 1 }],
    ['publish: envelopes in an object', parsePublish, { ...publish, envelopes: {} }],
    [
      'publish: too many envelopes',
      parsePublish,
      { ...publish, envelopes: Array<string>(EXCHANGE_LIMITS.envelopesPerPublish + 1).fill('') },
    ],
    ['published: version 0', parsePublished, { version: 0, timestamp: 1 }],
    ['published: no timestamp', parsePublished, { version: 1 }],
    ['online keys: too short', parseOnlineKeys, { snapshot: 'ab', timestamp: 'cd'.repeat(32) }],
    ['online keys: upper case', parseOnlineKeys, { snapshot: 'AB'.repeat(32), timestamp: 'cd'.repeat(32) }],
    ['news: no files', parseNews, { timestamp: '' }],
    ['news: files in a list', parseNews, { timestamp: '', files: [] }],
    [
      'news: too many files',
      parseNews,
      {
        timestamp: '',
        files: Object.fromEntries(
          Array.from({ length: EXCHANGE_LIMITS.filesPerEvent + 1 }, (_, i) => [i, '']),
        ),
      },
    ],
  ])('%s', ([, parse, value]) => {
    expect(codeOf(() => parse(body(value)))).toBe('metadata-malformed');
  });

  test.for([
    ['genesis', parseGenesis, EXCHANGE_LIMITS.body],
    ['publish', parsePublish, EXCHANGE_LIMITS.body],
    ['news', parseNews, EXCHANGE_LIMITS.event],
  ] as const)('%s: one byte too large', ([, parse, limit]) => {
    expect(codeOf(() => parse(new Uint8Array(limit + 1)))).toBe('json-too-large');
    expect(codeOf(() => parse(new Uint8Array(limit)))).toBe('json-invalid');
  });
});
