// What the kernel is told when one table follows another: everything that may not be reached any more, and no more.
import { beforeEach, expect, test } from 'vitest';
import type { Invalidator } from '../../../daemon/server.ts';
import { fileNode, viewNode } from '../../../daemon/node-id.ts';
import { EMPTY_TABLE } from '../../../daemon/table.ts';
import type { Table } from '../../../daemon/table.ts';
import { withdraw, withdrawDead } from '../../../daemon/withdrawal.ts';
import type { Dead } from '../../../daemon/withdrawal.ts';
import type { TargetPath } from '../../../manifest/names.ts';
import { API, WEB, grant, secret, tableOf } from './secrets.ts';

let calls: string[];

const note = (...call: readonly unknown[]): Promise<void> => Promise.resolve(void calls.push(call.join(' ')));
const invalidator: Invalidator = {
  pages: (node) => note('pages', node),
  name: (view, name) => note('name', view, name),
  removed: (view, node, name) => note('removed', view, node, name),
};

beforeEach(() => (calls = []));

async function told(old: Table, next: Table, dead?: Dead): Promise<string[]> {
  calls = [];
  await withdraw(invalidator, old, next, dead);
  return calls.sort();
}

const node = (version: number, of = WEB): number => fileNode(of, `payments/db@${version}` as TargetPath);
const web = viewNode(WEB);
const first = tableOf(secret());

test('nothing, when nothing changed or something came', async () => {
  expect(await told(first, first)).toEqual([]);
  expect(await told(EMPTY_TABLE, first)).toEqual([]);
  expect(
    await told(first, tableOf(secret(), secret({ name: 'key', grants: [grant('web', 'key')] }))),
  ).toEqual([]);
});

test('a revocation: pages and name', async () => {
  expect(await told(first, tableOf(secret({ tombstone: true })))).toEqual([
    `pages ${node(1)}`,
    `removed ${web} ${node(1)} db`,
  ]);
});

test('of what is dead: its pages, of every view that somebody reaches, and nothing else', async () => {
  const dead = new Set(['payments/db@1' as TargetPath]);
  await withdrawDead(invalidator, tableOf(secret({ newest: 2, superseded: [1] })), dead);
  expect(calls).toEqual([`pages ${node(1)}`]);
  expect(await told(first, tableOf(secret({ tombstone: true })), dead)).toEqual([
    `removed ${web} ${node(1)} db`,
  ]);
});

test('a rotation with an overlap: the name leads elsewhere, mappings stay', async () => {
  expect(await told(first, tableOf(secret({ newest: 2, superseded: [1] })))).toEqual([`name ${web} db`]);
});

test('a rotation without one: mappings go too', async () => {
  expect(await told(first, tableOf(secret({ newest: 2 })))).toEqual([`name ${web} db`, `pages ${node(1)}`]);
});

test('the end of an overlap: mappings, no name', async () => {
  const during = tableOf(secret({ newest: 2, superseded: [1] }));
  expect(await told(during, tableOf(secret({ newest: 2 })))).toEqual([`pages ${node(1)}`]);
});

test('the newest taken back alone: the name leads to the one before', async () => {
  const during = tableOf(secret({ newest: 2, superseded: [1] }));
  const back = tableOf(secret({ newest: 2, tombstone: true, superseded: [1] }));
  expect(await told(during, back)).toEqual([`name ${web} db`, `pages ${node(2)}`]);
});

test('one of two grants gone: one view only', async () => {
  const both = tableOf(secret({ grants: [grant('web'), grant('api')] }));
  const view = viewNode(API);
  expect(await told(both, first)).toEqual([`pages ${node(1, API)}`, `removed ${view} ${node(1, API)} db`]);
});

test('another file name: the old one is gone', async () => {
  const renamed = tableOf(secret({ grants: [grant('web', 'key')] }));
  expect(await told(first, renamed)).toEqual([`removed ${web} ${node(1)} db`]);
});

test('a workload whose last container went: its mappings', async () => {
  expect(await told(first, { ...first, groups: new Map([[':/api', API]]) })).toEqual([`pages ${node(1)}`]);
});

test('it waits until the kernel has forgotten', async () => {
  const forgotten = Promise.withResolvers<undefined>();
  let done = false;
  const never = (): Promise<void> => forgotten.promise;
  const withdrawing = withdraw({ pages: never, name: never, removed: never }, first, EMPTY_TABLE).then(
    () => (done = true),
  );
  await new Promise(setImmediate);
  expect(done).toBe(false);
  forgotten.resolve(undefined);
  await withdrawing;
});
