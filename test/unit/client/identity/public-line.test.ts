// The line that people send each other: every identity has one, and every slip in it is found.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { holdIdentity } from '../../../../client/identity/identity.ts';
import { formatPublicLine, isPublicLine, parsePublicLine } from '../../../../client/identity/public-line.ts';

const identity = holdIdentity('me', randomBytes(64)).public;
const line = formatPublicLine(identity);

test('back and forth', () => {
  expect(line).toMatch(/^lapse1[A-Za-z0-9_-]{91}$/);
  expect({ name: 'me', ...parsePublicLine(line) }).toEqual(identity);
  expect(parsePublicLine(` ${line}\n`)).toEqual(parsePublicLine(line));
});

test('one other character, wherever it is: public-line-invalid', () => {
  for (let at = 0; at < line.length; at++) {
    const slip = `${line.slice(0, at)}${line[at] === 'A' ? 'B' : 'A'}${line.slice(at + 1)}`;
    expect(() => parsePublicLine(slip), slip).toThrow(
      expect.objectContaining({ code: 'public-line-invalid' }),
    );
  }
});

test.for([
  ['cut short', line.slice(0, -1)],
  ['too long', `${line}A`],
  ['two characters exchanged', `${line.slice(0, 20)}${line[21]}${line[20]}${line.slice(22)}`],
  ['empty', ''],
  ['a name', 'operator'],
  ['padded', `${line}=`],
] as const)('%s: public-line-invalid', ([, text]) => {
  if (text === line) return;
  expect(() => parsePublicLine(text)).toThrow(expect.objectContaining({ code: 'public-line-invalid' }));
});

test('a name is no line', () => {
  expect(isPublicLine(line)).toBe(true);
  expect(isPublicLine(line.slice(0, -1))).toBe(true);
  expect(isPublicLine(`lapse1${'a'.repeat(57)}`)).toBe(false);
});
