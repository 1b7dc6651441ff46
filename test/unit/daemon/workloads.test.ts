// Which group is which workload: the nearest registered one above, on path boundaries only.
import { describe, expect, test } from 'vitest';
import { WorkloadRegistry, findWorkload } from '../../../daemon/identity/workloads.ts';
import { parseWorkload } from '../../../manifest/names.ts';

const WEB = parseWorkload('web');
const DB = parseWorkload('db');

describe('finding', () => {
  const groups = new Map([
    [':/a/b', WEB],
    [':/a/b/c', DB],
    ['pids:/a', DB],
  ]);

  test.for<[string, string | undefined]>([
    [':/a/b', 'web'],
    [':/a/b/x', 'web'],
    [':/a/b/x/y', 'web'],
    [':/a/b/c', 'db'],
    [':/a/b/c/x', 'db'],
    [':/a/b/cc', 'web'],
    [':/a/bc', undefined],
    [':/a/b.c/x', undefined],
    [':/a', undefined],
    [':/', undefined],
    ['', undefined],
    ['pids:/a/b', 'db'],
    ['name=systemd:/a/b', undefined],
    [':/x/a/b', undefined],
  ])('"%s" is %s', ([group, workload]) => {
    expect(findWorkload(groups, group)).toBe(workload);
  });
});

describe('registering', () => {
  const web = { id: '1', workload: WEB, cgroup: ':/1' };
  const conflict = expect.objectContaining({ code: 'workload-conflict' }) as Error;

  test('the same again is fine', () => {
    const registry = new WorkloadRegistry();
    registry.register(web);
    registry.register({ ...web });
    expect(registry.list()).toEqual([web]);
  });

  test('two containers of one workload are fine', () => {
    const registry = new WorkloadRegistry();
    registry.register(web);
    registry.register({ ...web, id: '2', cgroup: ':/2' });
    expect(registry.list()).toHaveLength(2);
  });

  test.for([
    { ...web, workload: DB },
    { ...web, cgroup: ':/2' },
    { ...web, id: '2' },
    { ...web, id: '2', workload: DB },
  ])('$id as $workload in $cgroup contradicts it', (other) => {
    const registry = new WorkloadRegistry();
    registry.register(web);
    expect(() => registry.register(other)).toThrow(conflict);
    expect(registry.list()).toEqual([web]);
  });

  test('what was taken back can be registered anew, and nothing is taken back twice', () => {
    const registry = new WorkloadRegistry();
    registry.register(web);
    registry.unregister('1');
    expect(() => registry.unregister('1')).toThrow(
      expect.objectContaining({ code: 'workload-unknown' }) as Error,
    );
    registry.register({ ...web, workload: DB });
    expect(registry.list()).toEqual([{ ...web, workload: DB }]);
  });

  test('there is an end to it, which the same again does not meet', () => {
    const registry = new WorkloadRegistry();
    for (let i = 0; i < 4096; i++) registry.register({ id: `${i}`, workload: WEB, cgroup: `:/${i}` });
    expect(() => registry.register({ ...web, id: 'one more', cgroup: ':/more' })).toThrow(conflict);
    expect(() => registry.register({ id: '7', workload: WEB, cgroup: ':/7' })).not.toThrow();
  });
});
