// Codes are API: docs/spec.md explains every one, and none that is gone.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const text = (path: string): string => readFileSync(join(import.meta.dirname, '../../..', path), 'utf8');
const codesOf = (folder: string): string[] =>
  [...text(`${folder}/errors.ts`).matchAll(/^ {2}\| '([a-z][a-z0-9-]*)'/gm)].map(([, code = '']) => code);
const section = text('docs/spec.md').split('\n## Codes\n')[1] ?? '';
const rows = section.split('\n').filter((line) => line.startsWith('| `'));
const explained = new Set(
  rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, code]) => code)),
);

test.for(['manifest', 'client', 'service', 'daemon'])('%s', (folder) => {
  const codes = codesOf(folder);
  expect(codes.length).toBeGreaterThan(10);
  expect(codes.filter((code) => !explained.has(code))).toEqual([]);
});

test('no code that nobody uses any more', () => {
  const used = new Set(['manifest', 'client', 'service', 'daemon', 'fuse'].flatMap(codesOf));
  expect([...explained].filter((code) => !used.has(code ?? ''))).toEqual([]);
});
