// Registrations that outlive the server: read back as they were, without the containers that have ended, and never
// a part of them for all of them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { identifyProcess } from '../../../daemon/identity/process.ts';
import { WorkloadRegistry } from '../../../daemon/identity/workloads.ts';
import type { RegisteredWorkload } from '../../../daemon/identity/workloads.ts';
import { StateFile, bootId } from '../../../daemon/runtime/state-file.ts';
import { readWorkloads, writeWorkloads } from '../../../daemon/runtime/workloads-file.ts';
import { API, WEB } from './secrets.ts';

const scratch = mkdtempSync(join(tmpdir(), 'lapse-workloads-file-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let count = 0;
const newPath = (): string => join(scratch, `${++count}.json`);

const init = identifyProcess(process.pid)!;
const WEBS: RegisteredWorkload = { id: 'c1', workload: WEB, cgroup: ':/machine/c1', init };
const APIS: RegisteredWorkload = { id: 'c2', workload: API, cgroup: 'name=systemd:/machine/c2' };

/** A registry that keeps its entries in the file, as lapsed has it. */
function kept(path: string): WorkloadRegistry {
  const file = new StateFile(path);
  return new WorkloadRegistry({ known: readWorkloads(file), save: (list) => writeWorkloads(file, list) });
}

test('none at the first start', () => {
  expect(readWorkloads(new StateFile(newPath()))).toEqual([]);
});

test('the next server knows what this one was told, at every moment', () => {
  const path = newPath();
  const registry = kept(path);
  const next = (): readonly RegisteredWorkload[] => kept(path).list();
  registry.register(WEBS);
  expect(next()).toEqual([WEBS]);
  registry.register(APIS);
  expect(next()).toEqual([WEBS, APIS]);
  registry.unregister('c1');
  expect(next()).toEqual([APIS]);
  expect(() => kept(path).register({ ...APIS, id: 'c3' })).toThrow(
    expect.objectContaining({ code: 'workload-conflict' }) as Error,
  );
  expect(next()).toEqual([APIS]);
});

test('names as containers have them', () => {
  const file = new StateFile(newPath());
  const odd = [{ ...APIS, id: 'a "b"\n\u{1f512}', cgroup: ':/system.slice/docker-a\\x2db.scope/x: y' }];
  writeWorkloads(file, odd);
  expect(readWorkloads(file)).toEqual(odd);
});

test('as many as there may be', () => {
  const file = new StateFile(newPath());
  const most = Array.from({ length: 4096 }, (_, i) => ({ ...APIS, id: `${i}`, cgroup: `:/${i}` }));
  writeWorkloads(file, most);
  expect(readWorkloads(file)).toEqual(most);
});

test('a container that ended while nobody served is left out', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  try {
    const file = new StateFile(newPath());
    const ending = { ...WEBS, init: identifyProcess(child.pid!)! };
    writeWorkloads(file, [ending, APIS]);
    expect(readWorkloads(file)).toEqual([ending, APIS]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(readWorkloads(file)).toEqual([APIS]);
    writeWorkloads(file, [{ ...WEBS, init: { pid: init.pid, start: '1' } }, APIS]);
    expect(readWorkloads(file)).toEqual([APIS]);
  } finally {
    child.kill('SIGKILL');
  }
});

describe('when it cannot be saved', () => {
  const full = new Error('no space');
  function failing(known: readonly RegisteredWorkload[]) {
    let fails = true;
    const registry = new WorkloadRegistry({
      known,
      save: () => {
        if (fails) throw full;
      },
    });
    return { registry, heal: () => (fails = false) };
  }

  test('nobody is registered', () => {
    const { registry, heal } = failing([]);
    expect(() => registry.register(WEBS)).toThrow(full);
    expect(registry.list()).toEqual([]);
    heal();
    registry.register(WEBS);
    expect(registry.list()).toEqual([WEBS]);
  });

  test('who is unregistered is gone all the same', () => {
    const { registry } = failing([WEBS]);
    expect(() => registry.unregister('c1')).toThrow(full);
    expect(registry.list()).toEqual([]);
  });
});

describe('damage is an error, not a shorter list', () => {
  const boot = bootId();
  const web = { id: 'c1', workload: 'web', cgroup: ':/c1', init: { pid: init.pid, start: init.start } };
  const reading = (workloads: unknown, of = boot) => {
    const path = newPath();
    writeFileSync(path, JSON.stringify({ format: 1, boot: of, workloads }));
    return () => readWorkloads(new StateFile(path));
  };

  test('but it reads what is sound', () => {
    expect(reading([web])()).toEqual([web]);
    const path = newPath();
    writeWorkloads(new StateFile(path), [WEBS]);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      format: 1,
      boot,
      workloads: [{ ...web, cgroup: ':/machine/c1' }],
    });
  });

  test.for<[string, unknown]>([
    ['none', undefined],
    ['an object', {}],
    ['a number', [1]],
    ['no id', [{ ...web, id: undefined }]],
    ['an empty id', [{ ...web, id: '' }]],
    ['a long id', [{ ...web, id: 'x'.repeat(257) }]],
    ['no workload', [{ ...web, workload: '../web' }]],
    ['the root of the groups', [{ ...web, cgroup: ':/' }]],
    ['a group without a controller', [{ ...web, cgroup: '/c1' }]],
    ['a relative group', [{ ...web, cgroup: ':c1' }]],
    ['a long group', [{ ...web, cgroup: `:/${'x'.repeat(4097)}` }]],
    ['process 0', [{ ...web, init: { pid: 0, start: '1' } }]],
    ['a process without a start', [{ ...web, init: { pid: 1 } }]],
    ['a start that is none', [{ ...web, init: { pid: 1, start: '-1' } }]],
    ['an id twice', [web, { ...web, cgroup: ':/c2' }]],
    ['a group twice', [web, { ...web, id: 'c2' }]],
    ['too many', Array.from({ length: 4097 }, (_, i) => ({ ...web, id: `${i}`, cgroup: `:/${i}` }))],
  ])('%s', ([, workloads]) => {
    expect(reading(workloads)).toThrow(expect.objectContaining({ code: 'runtime-unreadable' }) as Error);
  });

  test('of another boot', () => {
    const other = '00000000-0000-0000-0000-000000000000';
    expect(reading([web], other)).toThrow(expect.objectContaining({ code: 'runtime-unreadable' }) as Error);
  });
});
