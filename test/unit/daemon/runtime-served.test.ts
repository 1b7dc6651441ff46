// The record of what the kernel may have been told: at every moment at least that, and after a withdrawal no more.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { layOut } from '../../../daemon/layout.ts';
import { ServedRecord } from '../../../daemon/runtime/served-file.ts';
import { StateFile, bootId } from '../../../daemon/runtime/state-file.ts';
import { EMPTY_TABLE } from '../../../daemon/table.ts';
import type { ServedFile, Table } from '../../../daemon/table.ts';
import { viewNode } from '../../../daemon/node-id.ts';
import { API, PLACE, WEB, grant, held, registered, secret, tableOf } from './secrets.ts';

const scratch = mkdtempSync(join(tmpdir(), 'lapse-served-file-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let path: string;
beforeEach(() => (path = join(mkdtempSync(join(scratch, 'run-')), 'served.json')));

const record = (): ServedRecord => new ServedRecord(new StateFile(path));
/** What a next server would read now. */
const told = (): Table => record().read();

/** All but what a next server decides anew. */
const essence = ({ view, node, file, named, path: of, version, size, uid, gid, mode, mtime }: ServedFile) =>
  [view, node, file, named, of, version, size, uid, gid, mode, mtime].join(' ');
const files = (...tables: readonly Table[]): string[] =>
  [...new Set(tables.flatMap((table) => table.files.map(essence)))].sort();
/** A file is written anew with each write, so it is another inode. */
const inode = (): number => statSync(path).ino;

const one = tableOf(secret({ grants: [grant('web'), grant('api')] }));
const two = tableOf(secret({ newest: 2, superseded: [1], grants: [grant('web'), grant('api')] }));
const gone = tableOf(secret({ tombstone: true }));

test('nothing at the first start', () => {
  expect(told()).toEqual(EMPTY_TABLE);
  expect(record().nodes).toEqual([]);
});

test('before a table is shown, both; after the withdrawal, that one', () => {
  const served = record();
  served.extend(one);
  expect(files(told())).toEqual(files(one));
  served.extend(two);
  expect(files(told())).toEqual(files(one, two));
  expect(files(one, two).length).toBeGreaterThan(files(two).length);
  served.reduce(two);
  expect(files(told())).toEqual(files(two));
});

test('a revocation waits for no write; one that adds something is written first', () => {
  const served = record();
  served.extend(two);
  served.reduce(two);
  const before = inode();
  served.extend(gone);
  served.extend({ ...two, files: two.files.slice(1) });
  served.reduce(two);
  expect(inode()).toBe(before);
  served.reduce(gone);
  expect(files(told())).toEqual([]);
  served.extend(one);
  expect(files(told())).toEqual(files(one));
});

test('what an earlier server left stays until it is taken back', () => {
  record().extend(one);
  const next = record();
  expect(files(next.read())).toEqual(files(one));
  next.extend(gone);
  expect(files(told())).toEqual(files(one));
  next.extend(two);
  expect(files(told())).toEqual(files(one, two));
  next.reduce(two);
  expect(files(told())).toEqual(files(two));
});

test('a file whose owner or size changed stands there in both states', () => {
  const served = record();
  served.extend(one);
  const changed = { ...one, files: one.files.map((file) => ({ ...file, mode: 0o400 })) };
  served.extend(changed);
  expect(told().files.map(({ mode }) => mode)).toEqual([0o440, 0o440, 0o400, 0o400]);
});

test('it reads as a table before the first: the views, everybody in them, no slot', () => {
  record().extend(one);
  const { views, groups, files: served } = told();
  expect(new Map(views.map(({ workload, node }) => [workload, node]))).toEqual(
    new Map([WEB, API].map((workload) => [workload, viewNode(workload)])),
  );
  expect([...groups.values()].sort()).toEqual([API, WEB]);
  expect([...groups.keys()].some((group) => group.includes(':') || group.includes('/'))).toBe(false);
  expect(new Set(served.map(({ slot }) => slot))).toEqual(new Set([-1]));
});

test('the nodes, each once, in every state and of every server', () => {
  const served = record();
  served.extend(one);
  served.extend(two);
  const all = new Set([...one.files, ...two.files].map(({ node }) => node));
  expect(served.nodes).toHaveLength(all.size);
  expect(new Set(served.nodes)).toEqual(all);
  const next = record();
  next.read();
  expect(new Set(next.nodes)).toEqual(all);
  next.reduce(two);
  expect(new Set(next.nodes)).toEqual(new Set(two.files.map(({ node }) => node)));
});

test('whatever order of steps: the record is all that was shown since the last withdrawal', () => {
  const tables = [one, two, gone, tableOf(secret(), secret({ name: 'key', grants: [grant('web', '.key')] }))];
  const step = fc.tuple(fc.constantFrom('extend', 'reduce', 'restart'), fc.nat(tables.length - 1));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      rmSync(path, { force: true });
      let served = record();
      let expected: readonly Table[] = [];
      for (const [what, at] of steps) {
        const table = tables[at]!;
        if (what === 'restart') {
          served = record();
          served.read();
        } else {
          expected = what === 'extend' ? [...expected, table] : [table];
          served[what](table);
        }
        expect(files(told())).toEqual(files(...expected));
      }
    }),
    { numRuns: 60 },
  );
});

test('when it cannot be written, it says what it said, and the next try tells all', () => {
  const served = record();
  served.extend(one);
  mkdirSync(`${path}.new`);
  const unwritable = expect.objectContaining({ code: 'runtime-unwritable' }) as Error;
  expect(() => served.extend(two)).toThrow(unwritable);
  expect(() => served.reduce(gone)).toThrow(unwritable);
  expect(files(told())).toEqual(files(one));
  expect(() => served.extend(one)).not.toThrow();
  rmdirSync(`${path}.new`);
  served.extend(two);
  expect(files(told())).toEqual(files(one, two));
});

describe('limits', () => {
  /** `count` files in 100 views. */
  function large(count: number): Table {
    const versions = Array.from({ length: count / 100 }, (_, i) => `payments/secret-${i}@1`);
    const grants = Array.from({ length: 100 }, (_, i) => `workload-${i}`);
    const secrets = versions.map((of, i) =>
      secret({
        name: `secret-${i}`,
        grants: grants.map((workload) => grant(workload, `file-${of.slice(9, -2)}`)),
      }),
    );
    return layOut(secrets, held(...versions), registered(...grants), () => PLACE).table;
  }

  test('100,000 files are no exception', () => {
    const table = large(100_000);
    record().extend(table);
    const read = told();
    expect(read.files).toHaveLength(100_000);
    expect(read.views).toHaveLength(100);
    expect(essence(read.files[77_777]!)).toBe(essence(table.files[77_777]!));
  });

  test('more than two such tables are', () => {
    const file = one.files[0]!;
    const many = (count: number): Table => ({
      ...one,
      files: Array.from({ length: count }, (_, i) => ({ ...file, node: 16 + i })),
    });
    const served = record();
    served.extend(many(200_000));
    const before = inode();
    expect(() => served.extend(many(200_001))).toThrow(
      expect.objectContaining({ code: 'runtime-unwritable' }) as Error,
    );
    expect(inode()).toBe(before);
  });
});

describe('damage is an error: an empty record would leave something in the kernel', () => {
  const line = 'web 100 200 db 1 payments/db@1 15 1000 1001 288 7';
  const reading = (lines: unknown, boot = bootId()) => {
    writeFileSync(path, JSON.stringify({ format: 1, boot, files: lines }));
    return told;
  };

  test('but it reads what is sound', () => {
    expect(reading([line])().files.map(essence)).toEqual([
      'web 200 db true payments/db@1 1 15 1000 1001 288 7',
    ]);
    record().extend(one);
    const { files: lines } = JSON.parse(readFileSync(path, 'utf8')) as { files: string[] };
    expect(lines[0]).toMatch(/^web \d+ \d+ db 1 payments\/db@1 10 1000 1001 288 1000$/);
  });

  test.for<[string, unknown]>([
    ['none', undefined],
    ['no list', line],
    ['a number', [1]],
    ['a field less', [line.slice(0, -2)]],
    ['a field more', [`${line} 1`]],
    ['two blanks', [line.replace(' ', '  ')]],
    ['no workload', [line.replace('web', '..')]],
    ['no file name', [line.replace(' db ', ' ../db ')]],
    ['no version', [line.replace('@1', '')]],
    ['a large node', [line.replace('200', String(2 ** 52))]],
    ['a negative node', [line.replace('200', '-200')]],
    ['a node written otherwise', [line.replace('200', '0200')]],
    ['neither named nor not', [line.replace(' 1 ', ' 2 ')]],
    ['a mode beyond permissions', [line.replace('288', '2048')]],
    ['one bad line among good ones', [line, line, 'x']],
  ])('%s', ([, lines]) => {
    expect(reading(lines)).toThrow(expect.objectContaining({ code: 'runtime-unreadable' }) as Error);
  });

  test('of another boot', () => {
    expect(reading([line], '00000000-0000-0000-0000-000000000000')).toThrow(
      expect.objectContaining({ code: 'runtime-unreadable' }) as Error,
    );
  });
});
