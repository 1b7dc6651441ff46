// Inode numbers outlive a restart: fixed inputs, fixed numbers. A change here breaks open files across an upgrade.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NODE, fileNode, viewNode } from '../../../daemon/node-id.ts';
import { parseWorkload } from '../../../manifest/names.ts';
import type { TargetPath } from '../../../manifest/names.ts';

const path = (text: string): TargetPath => text as TargetPath;

describe('vectors', () => {
  test('the fixed nodes', () => {
    expect(NODE).toEqual({ root: 1, views: 2, self: 3, volumes: 4, volume: 5 });
  });

  test.for<[string, number]>([
    ['web', 4273354020518679],
    ['db', 3463581839608137],
  ])('the view of %s', ([workload, node]) => {
    expect(viewNode(parseWorkload(workload))).toBe(node);
  });

  test.for<[string, string, number]>([
    ['web', 'payments/db-password@1', 1154230146676233],
    ['web', 'payments/db-password@2', 3059399678543244],
    ['db', 'payments/db-password@1', 3043316326439654],
  ])('%s’s %s', ([workload, target, node]) => {
    expect(fileNode(parseWorkload(workload), path(target))).toBe(node);
  });
});

const workload = fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}$/).map(parseWorkload);
const target = fc.stringMatching(/^[a-z]{1,9}\/[a-z]{1,9}@[1-9][0-9]{0,3}$/).map(path);

test('safe integers below 2^52, never a fixed node, always the same', () => {
  const isFit = (node: number): boolean => Number.isSafeInteger(node) && node >= 16 && node < 2 ** 52;
  fc.assert(
    fc.property(workload, target, (of, what) => {
      expect(isFit(viewNode(of)) && isFit(fileNode(of, what))).toBe(true);
      expect(fileNode(of, what)).toBe(fileNode(of, what));
    }),
  );
});

test('views and files, and the parts of a file, are never mistaken for one another', () => {
  const names = ['a', 'ab', 'view', 'file'].map(parseWorkload);
  const paths = ['a/b@1', 'ab/b@1', 'a/bb@1', 'a/b@11', 'view', 'file'].map(path);
  const nodes = [...names.map(viewNode), ...names.flatMap((of) => paths.map((what) => fileNode(of, what)))];
  expect(new Set(nodes).size).toBe(nodes.length);
});
