// What travels between service and clients is read strictly, and trusted for nothing.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../../manifest/json.ts';
import {
  EXCHANGE_LIMITS,
  encodeGenesis,
  encodeNews,
  encodePublish,
  encodePublished,
  parseGenesis,
  parseNews,
  parseOnlineKeys,
  parsePublish,
  parsePublished,
  parseStoredReceipts,
} from '../../../manifest/realm/exchange.ts';
import type { RoleUpload } from '../../../manifest/realm/exchange.ts';
import { codeOf, utf8 } from './repository.ts';

const body = (value: Json): Uint8Array => utf8(JSON.stringify(value));
const file = fc.uint8Array({ maxLength: 100 });
const role = { name: 'targets', metadata: utf8('t') };
const genesis = encodeGenesis({ root: utf8('r'), roles: [role], lease: 60 });
const publish = encodePublish({ roles: [role], files: [utf8('e')] });
const roles = fc.uniqueArray(fc.record({ name: fc.string(), metadata: file }), {
  selector: ({ name }) => name,
  minLength: 1,
  maxLength: EXCHANGE_LIMITS.rolesPerPublish,
});
const asBuffer = ({ name, metadata }: RoleUpload) => ({ name, metadata: Buffer.from(metadata) });
const news = encodeNews({ timestamp: utf8('t'), files: new Map([['1.root.json', utf8('f')]]) });

describe('what is encoded is parsed back', () => {
  test('genesis', () => {
    const whole = fc.property(file, roles, fc.integer({ min: 1, max: 86_400 }), (root, uploads, lease) => {
      const parsed = parseGenesis(body(encodeGenesis({ root, roles: uploads, lease })));
      expect(parsed).toEqual({ root: Buffer.from(root), roles: uploads.map(asBuffer), lease });
    });
    fc.assert(whole, { numRuns: 100 });
  });

  test('publish', () => {
    const whole = fc.property(roles, fc.array(file, { maxLength: 5 }), (uploads, files) => {
      const parsed = parsePublish(body(encodePublish({ roles: uploads, files })));
      expect(parsed).toEqual({
        roles: uploads.map(asBuffer),
        files: files.map((one) => Buffer.from(one)),
      });
    });
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
    const moment = { at: 12_345_678, boot: '1c7d5a3e-6f34' };
    const published = { roles: new Map([['payments', 3]]), snapshot: 8, timestamp: 9, ...moment };
    expect(parsePublished(body({ ...encodePublished(published), more: 1 }))).toEqual(published);
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
    const upload = { name: 'payments', metadata };
    expect(codeOf(() => parsePublish(body({ ...publish, roles: [upload] })))).toBe('metadata-malformed');
    expect(codeOf(() => parsePublish(body({ ...publish, files: [metadata] })))).toBe('metadata-malformed');
    expect(codeOf(() => parseNews(body({ ...news, files: { f: metadata } })))).toBe('metadata-malformed');
  });
});

const published: JsonObject = { roles: { payments: 1 }, snapshot: 1, timestamp: 1, at: 1, boot: 'b' };
const upload = (name: string): JsonObject => ({ name, metadata: '' });

describe('malformed', () => {
  test.for<[string, (bytes: Uint8Array) => unknown, Json]>([
    ['genesis: no lease', parseGenesis, { ...genesis, lease: null }],
    ['genesis: no lease at all', parseGenesis, { ...genesis, lease: 0 }],
    ['genesis: a lease of more than a day', parseGenesis, { ...genesis, lease: 86_401 }],
    ['genesis: no root', parseGenesis, { roles: genesis['roles']!, lease: 60 }],
    ['genesis: no roles', parseGenesis, { ...genesis, roles: [] }],
    ['genesis: a list', parseGenesis, []],
    ['publish: no role', parsePublish, { ...publish, roles: [] }],
    ['publish: a role that is no object', parsePublish, { ...publish, roles: ['payments'] }],
    ['publish: a role without a name', parsePublish, { ...publish, roles: [{ metadata: '' }] }],
    ['publish: a role without a file', parsePublish, { ...publish, roles: [{ name: 'payments' }] }],
    ['publish: one role twice', parsePublish, { ...publish, roles: [upload('a'), upload('b'), upload('a')] }],
    [
      'publish: too many roles',
      parsePublish,
      { ...publish, roles: Array.from({ length: 17 }, (_, i) => upload(`r${i}`)) },
    ],
    ['publish: files in an object', parsePublish, { ...publish, files: {} }],
    ['publish: no files at all', parsePublish, { roles: publish['roles']! }],
    [
      'publish: too many files',
      parsePublish,
      { ...publish, files: Array<string>(EXCHANGE_LIMITS.filesPerPublish + 1).fill('') },
    ],
    ['published: version 0', parsePublished, { ...published, roles: { payments: 0 } }],
    ['published: roles in a list', parsePublished, { ...published, roles: [1] }],
    ['published: no snapshot', parsePublished, { ...published, snapshot: null }],
    ['published: no timestamp', parsePublished, { ...published, timestamp: null }],
    ['published: before the clock began', parsePublished, { ...published, at: -1 }],
    ['published: no boot id', parsePublished, { ...published, boot: '' }],
    ['news: a moment of nobody', parseNews, { ...news, at: 1 }],
    [
      'receipts: one without a moment',
      parseStoredReceipts,
      { receipts: [{ id: 1, host: 'a', jws: 'j' }], last: 1 },
    ],
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
