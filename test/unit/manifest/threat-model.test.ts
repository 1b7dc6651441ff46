// Every claim of docs/threat-model.md names the tests that show it, and they are there.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');
const text = readFileSync(join(ROOT, 'docs/threat-model.md'), 'utf8');
const rows = text.split('\n').filter((line) => /^\| (?!who |what )[a-z]/i.test(line));
const named = (row: string): string[] => [...row.matchAll(/`(test\/[^`]+)`/g)].map(([, path = '']) => path);

test.for(rows)('%s', (row) => {
  expect(named(row).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  // Against root on a running host nothing is claimed.
  expect(named(row).length > 0).toBe(!row.includes('with root on a running host'));
});

const attacks = /## Attacks, one by one\n([^]*?)\n## /.exec(text)?.[1] ?? '';
test.for(rows.filter((row) => attacks.includes(row)))('a test is called %s', (row) => {
  const attack = /^\| (.*?) \|/.exec(row)?.[1] ?? '';
  expect(readFileSync(join(ROOT, named(row)[0]!), 'utf8')).toContain(`'${attack}`);
});

test('there are rows', () => {
  expect(rows.length).toBeGreaterThan(40);
});
