// A file that one server leaves for the next: all of it or none of it, of this boot, and damage is never taken for
// nothing.
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { DaemonError } from '../../../daemon/errors.ts';
import { StateFile, bootId } from '../../../daemon/runtime/state-file.ts';
import { ManifestError } from '../../../manifest/errors.ts';
import { integer } from '../../../manifest/shape.ts';

const scratch = mkdtempSync(join(tmpdir(), 'lapse-state-file-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(scratch, 'run-'));
  path = join(directory, 'state.json');
});

const read = (boot?: string): number | undefined =>
  new StateFile(path, boot).read((members) => integer(members['count'], 'count'));
const unreadable = expect.objectContaining({ code: 'runtime-unreadable' }) as Error;
const unwritable = expect.objectContaining({ code: 'runtime-unwritable' }) as Error;

test('what was written last comes back, to the next one too', () => {
  const file = new StateFile(path);
  expect(read()).toBeUndefined();
  for (let count = 0; count < 100; count++) {
    file.write({ count });
    expect(read()).toBe(count);
  }
  expect(readdirSync(directory)).toEqual(['state.json']);
});

test('it is replaced, not rewritten: who reads meanwhile has the state before, whole', () => {
  const file = new StateFile(path);
  file.write({ count: 1 });
  const reader = openSync(path, 'r');
  try {
    file.write({ count: 2 });
    expect(JSON.parse(readFileSync(reader, 'utf8'))).toMatchObject({ count: 1 });
    expect(read()).toBe(2);
  } finally {
    closeSync(reader);
  }
});

test('what was removed was never there', () => {
  const file = new StateFile(path);
  file.remove();
  file.write({ count: 1 });
  file.remove();
  expect(read()).toBeUndefined();
  mkdirSync(path);
  expect(() => file.remove()).toThrow(unwritable);
});

test('for nobody else', () => {
  new StateFile(path).write({ count: 1 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('what a crash left half written is not looked at, and overwritten', () => {
  const file = new StateFile(path);
  file.write({ count: 1 });
  writeFileSync(`${path}.new`, '{"format":1,"boo');
  expect(read()).toBe(1);
  file.write({ count: 2 });
  expect(read()).toBe(2);
  expect(readdirSync(directory)).toEqual(['state.json']);
});

describe('what cannot be written leaves the file as it was', () => {
  beforeEach(() => new StateFile(path).write({ count: 1 }));

  test('the file system says no', () => {
    mkdirSync(`${path}.new`);
    expect(() => new StateFile(path).write({ count: 2 })).toThrow(unwritable);
    expect(read()).toBe(1);
  });

  test('it is too large to be read back', () => {
    const file = new StateFile(path);
    expect(() => file.write({ count: 2, more: 'x'.repeat(64 << 20) })).toThrow(unwritable);
    expect(read()).toBe(1);
  });
});

describe('damage is reported', () => {
  beforeEach(() => new StateFile(path).write({ count: 1 }));

  const boot = bootId();
  const text = (members: unknown) => () => writeFileSync(path, JSON.stringify(members));
  test.for<[string, () => void]>([
    ['empty', () => truncateSync(path, 0)],
    ['cut off', () => truncateSync(path, statSync(path).size - 1)],
    ['zeroes', () => writeFileSync(path, Buffer.alloc(64))],
    ['no UTF-8', () => writeFileSync(path, Buffer.from([0x7b, 0xff, 0x7d]))],
    ['a list', text([])],
    ['no format', text({ boot, count: 1 })],
    ['another format', text({ format: 2, boot, count: 1 })],
    ['no boot', text({ format: 1, count: 1 })],
    ['not what the reader wants', text({ format: 1, boot, count: 'one' })],
    ['a member twice', () => writeFileSync(path, `{"format":1,"boot":"${boot}","count":1,"count":1}`)],
    [
      'no file',
      () => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
  ])('%s', ([, damage]) => {
    expect(read()).toBe(1);
    damage();
    expect(() => read()).toThrow(DaemonError);
    expect(() => read()).toThrow(unreadable);
  });

  test('another boot', () => {
    expect(read(boot)).toBe(1);
    expect(() => read('00000000-0000-0000-0000-000000000000')).toThrow(unreadable);
  });

  test('a mistake of the program is not taken for damage', () => {
    const mistake = new TypeError('a mistake');
    const fail = (error: Error) => () =>
      new StateFile(path).read(() => {
        throw error;
      });
    expect(fail(mistake)).toThrow(mistake);
    expect(fail(new ManifestError('name-invalid', 'not a name'))).toThrow(unreadable);
  });
});
