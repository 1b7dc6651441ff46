// How options are written. Whatever does not parse is the caller's mistake, `usage`.
import { describe, expect, test } from 'vitest';
import {
  asUsage,
  parseCount,
  parseGrant,
  parseOverlap,
  parseSecret,
  parseSeconds,
} from '../../../client/cli/options.ts';
import { parseSecretName } from '../../../manifest/names.ts';

const usage = expect.objectContaining({ code: 'usage' }) as Error;

test.for<[string, number]>([
  ['0', 0],
  ['300', 300],
  ['300s', 300],
  ['5m', 300],
  ['2h', 7200],
  ['1d', 86_400],
])('%s is %i seconds', ([text, seconds]) => {
  expect(parseSeconds(text, '--lease', 0, 86_400)).toBe(seconds);
});

test.for([
  '',
  ' 5m',
  '5m ',
  '5 m',
  '-1',
  '1.5h',
  '5M',
  '5w',
  'm',
  '1e3',
  '0x10',
  '9'.repeat(10),
  '٣',
  '25h',
  '86401',
])('"%s" is no time up to a day', (text) => {
  expect(() => parseSeconds(text, '--lease', 0, 86_400)).toThrow(usage);
});

test('an error names the option and its range', () => {
  expect(() => parseSeconds('0s', '--lease', 1, 86_400)).toThrow(
    '--lease is a time like 300s, 5m or 2h, from 1 s to 86400 s',
  );
});

test('an overlap may be left out, be zero, and last 30 days', () => {
  expect([undefined, '0', '30d'].map(parseOverlap)).toEqual([undefined, 0, 30 * 86_400]);
  expect(() => parseOverlap('31d')).toThrow(usage);
});

test.for(['', '15', '1025', '-1', '16.0', '1e2', ' 16', '16\n'])(
  '"%s" is no number from 16 to 1024',
  (text) => {
    expect(() => parseCount(text, '--generate', 16, 1024)).toThrow(usage);
  },
);

test('the ends of a range belong to it', () => {
  expect([parseCount('16', '', 16, 1024), parseCount('1024', '', 16, 1024)]).toEqual([16, 1024]);
});

describe('a grant', () => {
  const DB = parseSecretName('db');
  const options = { uid: '0', gid: '0', mode: '0400' };

  test('is by default a file of the secret’s name, for root alone', () => {
    expect(parseGrant('web', DB, options)).toEqual({
      workload: 'web',
      file: 'db',
      uid: 0,
      gid: 0,
      mode: 0o400,
    });
  });

  test('as told', () => {
    const told = { as: '.env', uid: '4294967294', gid: '5', mode: '0444' };
    expect(parseGrant('web', DB, told)).toEqual({
      workload: 'web',
      file: '.env',
      uid: 4294967294,
      gid: 5,
      mode: 0o444,
    });
  });

  test.for<[string, object]>([
    ['a file above', { as: '../db' }],
    ['a file in a directory', { as: 'a/b' }],
    ['no file', { as: '' }],
    ['the id that means none', { uid: '4294967295' }],
    ['a negative group', { gid: '-1' }],
    ['a mode to write', { mode: '0600' }],
    ['a mode to run', { mode: '0500' }],
    ['a mode in decimal', { mode: '400' }],
    ['a set-id bit', { mode: '4400' }],
  ])('%s is refused', ([, change]) => {
    expect(() => parseGrant('web', DB, { ...options, ...change })).toThrow(usage);
  });

  test.for(['', '-web', 'a b', 'w/b', '*'])('"%s" is no workload', (workload) => {
    expect(() => parseGrant(workload, DB, options)).toThrow(usage);
  });
});

describe('a secret as a whole', () => {
  test('has a namespace and a name', () => {
    expect(parseSecret('payments/db')).toEqual({ namespace: 'payments', name: 'db' });
  });

  test.for([
    'payments/db@3',
    'payments',
    'payments/',
    '/db',
    'a/b/c',
    'Payments/db',
    'payments/db@',
    'root/db',
    '',
  ])('"%s" is refused', (text) => {
    expect(() => parseSecret(text)).toThrow(usage);
  });
});

test('only typed refusals become usage; a bug stays a bug', () => {
  const bug = new TypeError('bug');
  expect(() =>
    asUsage(() => {
      throw bug;
    }),
  ).toThrow(bug);
});
