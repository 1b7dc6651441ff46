// Lines of NAME=value, read as an import: quotes, comments and names, and which lines are refused.
import { expect, test } from 'vitest';
import { readEnvFile } from '../../../../client/cli/import/env-file.ts';

function read(text: string): Record<string, string> {
  const { found } = readEnvFile(Buffer.from(text));
  return Object.fromEntries(found.map(({ name, value }) => [name, value.toString()]));
}

test.for<[string, Record<string, string>]>([
  ['A=1', { a: '1' }],
  ['A=1\r\nB=2\r\n', { a: '1', b: '2' }],
  ['export DB_PASSWORD=x', { 'db-password': 'x' }],
  ['A = spaced out  ', { a: 'spaced out' }],
  ['A=x # said\nB=x#y', { a: 'x', b: 'x#y' }],
  ['# A=1\n\n  # B=2\nC=3', { c: '3' }],
  ["A='lite\\ral # $X'", { a: 'lite\\ral # $X' }],
  ['A="say \\"hi\\"\\n\\t\\\\n\\$X\\z" # said', { a: 'say "hi"\n\t\\n$X\\z' }],
  ['A="two\nlines"\nB=1', { a: 'two\nlines', b: '1' }],
  ['A=="=', { a: '="=' }],
  ['A=\nB=#x\nC=""\nD=1', { d: '1' }],
  ['A=é\u0000', { a: 'é\u0000' }],
])('%j', ([text, expected]) => {
  expect(read(text)).toEqual(expected);
});

test.for([
  ['A', 'line 1'],
  ['A=1\nnonsense', 'line 2'],
  ['=1', 'line 1'],
  ['1A=1', 'line 1'],
  ['A-B=1', 'line 1'],
  ['A="two\nlines"\nnonsense', 'line 3'],
  ['A="1', 'not closed'],
  ["A='1", 'not closed'],
  ['A="1" x', 'follows the quotes'],
  ['A=1\nA=2', 'twice'],
  ['A_B=1\na_b=2', 'twice'],
  ['__=1', 'no name'],
] as const)('%j is refused: %s', ([text, why]) => {
  expect(() => read(text)).toThrow(
    expect.objectContaining({ code: 'import-malformed', message: expect.stringContaining(why) as string }),
  );
});

test('what was empty is named', () => {
  expect(readEnvFile(Buffer.from('A=\nB=1')).skipped).toEqual(['A: it is empty']);
});

test('a megabyte is read once, whatever is in them', () => {
  const began = process.cpuUsage();
  for (const text of ['#\n', 'A', '"', ' \n']) {
    const bytes = Buffer.from(text.repeat((1 << 20) / text.length));
    try {
      readEnvFile(bytes);
    } catch (error) {
      expect(error).toMatchObject({ code: 'import-malformed' });
    }
  }
  expect(process.cpuUsage(began).user / 1e6, 'seconds').toBeLessThan(5);
});
