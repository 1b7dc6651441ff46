// Grants: read and written alike, reading only. What readSecrets refuses in them stands in the secrets vectors.
import { expect, test } from 'vitest';
import fc from 'fast-check';
import { parseFileName, parseWorkload } from '../../../manifest/names.ts';
import { grantJson, parseGrants, parseMode } from '../../../manifest/realm/grant.ts';
import { codeOf } from './repository.ts';

test('every mode of read bits, and no other', () => {
  const read = Array.from({ length: 0o1000 }, (_, mode) => mode).filter((mode) => {
    return codeOf(() => parseMode(`0${mode.toString(8).padStart(3, '0')}`)) === undefined;
  });
  expect(read).toEqual([0, 0o4, 0o40, 0o44, 0o400, 0o404, 0o440, 0o444]);
});

test.for(['440', '00440', '0440\n', ' 0440', '0o440', '+440', '', '٠٤٤٠'])('the mode %j', (text) => {
  expect(codeOf(() => parseMode(text))).toBe('grant-malformed');
});

test('what is written is read back', () => {
  const id = fc.integer({ min: 0, max: 2 ** 32 - 2 });
  const mode = fc.constantFrom(0, 0o4, 0o40, 0o44, 0o400, 0o404, 0o440, 0o444);
  const roundTrip = fc.property(id, id, mode, (uid, gid, bits) => {
    const grant = { workload: parseWorkload('web'), file: parseFileName('db'), uid, gid, mode: bits };
    expect(parseGrants([grantJson(grant)], 'grants')).toEqual([grant]);
  });
  fc.assert(roundTrip, { numRuns: 100 });
});

test('a selector with a member more matches nobody, even if it names a workload', () => {
  const grant = grantJson({
    workload: parseWorkload('web'),
    file: parseFileName('db'),
    uid: 0,
    gid: 0,
    mode: 0o400,
  });
  for (const selector of [
    {},
    { image: 'x' },
    { workload: 'web', image: 'x' },
    { image: 'x', workload: 'web' },
    { 'workload,': 'web' },
  ]) {
    expect(parseGrants([{ ...grant, selector }], 'grants')).toEqual([]);
  }
});

test('two grants for one workload contradict each other', () => {
  const grant = (file: string) =>
    grantJson({
      workload: parseWorkload('web'),
      file: parseFileName(file),
      uid: 0,
      gid: 0,
      mode: 0o400,
    });
  expect(codeOf(() => parseGrants([grant('a'), grant('b')], 'grants'))).toBe('grant-malformed');
});
