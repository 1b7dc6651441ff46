// From secrets, held versions and workloads to views: every file once, nothing twice, nothing guessed.
import { describe, expect, test } from 'vitest';
import { layOut as layOutAt } from '../../../daemon/layout.ts';
import { fileNode, viewNode } from '../../../daemon/node-id.ts';
import { API, PLACE, WEB, grant, held, registered, secret } from './secrets.ts';

type Input = Parameters<typeof layOutAt>;
const layOut = (secrets: Input[0], versions: Input[1], workloads: Input[2], filling?: boolean) =>
  layOutAt(secrets, versions, workloads, () => PLACE, filling);

const named = ({ table }: ReturnType<typeof layOut>): unknown =>
  table.files.map(
    ({ view, file, path, named: bears }) => `${view}/${file} ${path}${bears ? '' : ' unnamed'}`,
  );
const codes = ({ problems }: ReturnType<typeof layOut>): unknown => problems.map(({ code }) => code);

test('a file has its grant’s owner and mode, its version’s node, slot and size', () => {
  const { table } = layOut([secret()], held('payments/db@1'), registered('web'));
  const node = fileNode(WEB, secret().newest!.path);
  expect(table).toEqual({
    views: [{ node: viewNode(WEB), workload: 'web' }],
    files: [
      {
        ...{ node, view: 'web', file: 'db', path: 'payments/db@1', version: 1, named: true },
        ...{ lease: PLACE, whenStale: 'deny' },
        ...{ slot: 0, generation: 0, size: 10, uid: 1000, gid: 1001, mode: 0o440, mtime: 1000 },
      },
    ],
    groups: new Map([[':/web', 'web']]),
  });
});

test('the newest bears the name, superseded ones are there without', () => {
  const layout = layOut(
    [secret({ newest: 3, superseded: [2, 1] })],
    held('payments/db@1', 'payments/db@2', 'payments/db@3'),
    [],
  );
  expect(named(layout)).toEqual([
    'web/db payments/db@3',
    'web/db payments/db@2 unnamed',
    'web/db payments/db@1 unnamed',
  ]);
});

test('until the newest is held, the one before it keeps the name', () => {
  const layout = layOut(
    [secret({ newest: 3, superseded: [2, 1] })],
    held('payments/db@2', 'payments/db@1'),
    [],
  );
  expect(named(layout)).toEqual(['web/db payments/db@2', 'web/db payments/db@1 unnamed']);
});

test('while it is being filled, no version bears the name of a newer one that lives', () => {
  const filled = (newest: object, ...paths: readonly string[]): unknown =>
    named(layOut([secret({ newest: 3, superseded: [2, 1], ...newest })], held(...paths), [], true));
  const both = ['web/db payments/db@2 unnamed', 'web/db payments/db@1 unnamed'];
  expect(filled({}, 'payments/db@1', 'payments/db@2')).toEqual(both);
  expect(filled({}, 'payments/db@1', 'payments/db@2', 'payments/db@3')).toEqual([
    'web/db payments/db@3',
    ...both,
  ]);
  expect(filled({ tombstone: true }, 'payments/db@2')).toEqual(['web/db payments/db@2']);
  expect(filled({ tombstone: true }, 'payments/db@1')).toEqual(['web/db payments/db@1 unnamed']);
});

test('what is not held, not granted or revoked is not there', () => {
  const grants = [grant('web')];
  expect(named(layOut([secret()], held(), []))).toEqual([]);
  expect(named(layOut([secret({ grants: [] })], held('payments/db@1'), []))).toEqual([]);
  expect(named(layOut([secret({ tombstone: true, grants })], held('payments/db@1'), []))).toEqual([]);
  // The newest taken back alone: the one before it, in its overlap, is what there is.
  const back = layOut(
    [secret({ newest: 2, tombstone: true, superseded: [1] })],
    held('payments/db@1', 'payments/db@2'),
    [],
  );
  expect(named(back)).toEqual(['web/db payments/db@1']);
});

test('one secret in two views is two files of one slot', () => {
  const { table } = layOut(
    [secret({ grants: [grant('web'), grant('api', 'key')] })],
    held('payments/db@1'),
    [],
  );
  expect(table.files.map(({ view, file, slot }) => [view, file, slot])).toEqual([
    ['web', 'db', 0],
    ['api', 'key', 0],
  ]);
  expect(new Set(table.files.map(({ node }) => node)).size).toBe(2);
});

test('a workload without a grant has an empty view, one that is not registered has a view without callers', () => {
  const { table } = layOut([secret()], held('payments/db@1'), registered('api'));
  expect(table.views.map(({ workload }) => workload)).toEqual(['api', 'web']);
  expect(table.groups).toEqual(new Map([[':/api', API]]));
});

test('from a workload whose access a revoker took back, versions are withheld; the next one it sees again', () => {
  const grants = [grant('web'), grant('api')];
  const all = held('payments/db@1', 'payments/db@2', 'payments/db@3');
  const two = secret({ newest: 2, superseded: [1], grants, withheld: { web: 2 } });
  expect(named(layOut([two], all, []))).toEqual(['api/db payments/db@2', 'api/db payments/db@1 unnamed']);
  const three = secret({ newest: 3, superseded: [2, 1], grants, withheld: { web: 2 } });
  expect((named(layOut([three], all, [])) as string[]).filter((file) => file.startsWith('web'))).toEqual([
    'web/db payments/db@3',
  ]);
});

test('what becomes of a file when its lease is over stands with it', () => {
  const stale = layOut([secret({ whenStale: 'serve' })], held('payments/db@1'), []);
  expect(stale.table.files).toMatchObject([{ lease: PLACE, whenStale: 'serve' }]);
});

describe('contradictions', () => {
  const [db, key] = [secret(), secret({ name: 'key', grants: [grant('web', 'db'), grant('api', 'key')] })];
  const both = held('payments/db@1', 'payments/key@1');

  test('two secrets under one name: neither, and it is said; other views are not touched', () => {
    for (const secrets of [
      [db, key],
      [key, db],
    ]) {
      const layout = layOut(secrets, both, []);
      expect(named(layout)).toEqual(['api/key payments/key@1']);
      expect(codes(layout)).toEqual(['file-conflict']);
      expect(layout.problems[0]?.message).toContain('web/db');
    }
  });

  test('one of them is not held yet: the name is not shown and taken away again', () => {
    expect(named(layOut([db, key], held('payments/db@1'), []))).toEqual(['web/db payments/db@1']);
  });

  test('two versions of one secret are none', () => {
    expect(
      codes(layOut([secret({ newest: 2, superseded: [1] })], held('payments/db@1', 'payments/db@2'), [])),
    ).toEqual([]);
  });

  test('two grants of one secret to one workload harm nobody else', () => {
    const twice = secret({ name: 'twice', grants: [grant('web', 'a'), grant('web', 'b')] });
    const layout = layOut([twice, db], held('payments/twice@1', 'payments/db@1'), []);
    expect(named(layout)).toEqual(['web/db payments/db@1']);
    expect(new Set(codes(layout) as string[])).toEqual(new Set(['node-collision']));
  });
});

test('equal input, equal table; views are sorted whatever the order', () => {
  const secrets = [secret({ grants: [grant('zoo'), grant('api')] })];
  const paths = held('payments/db@1');
  const one = layOut(secrets, paths, registered('web', 'nat'));
  expect(layOut(secrets, paths, registered('web', 'nat'))).toEqual(one);
  expect(layOut(secrets, paths, registered('nat', 'web')).table.views).toEqual(one.table.views);
  expect(one.table.views.map(({ workload }) => workload)).toEqual(['api', 'nat', 'web', 'zoo']);
});
