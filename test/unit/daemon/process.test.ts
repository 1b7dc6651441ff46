// A container whose runtime never says that it ended: its registration must not outlive it, or the next container
// with the same control group would inherit it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { identifyProcess, isAlive } from '../../../daemon/identity/process.ts';
import { WorkloadRegistry } from '../../../daemon/identity/workloads.ts';
import { parseWorkload } from '../../../manifest/names.ts';

test('a process is known by its number and its start', () => {
  const self = identifyProcess(process.pid);
  expect(self?.start).toMatch(/^\d+$/);
  expect(self && isAlive(self)).toBe(true);
  expect(isAlive({ pid: process.pid, start: '1' })).toBe(false);
  expect(identifyProcess(2 ** 22 + 1)).toBeUndefined();
});

test('the registration goes with the process, and its group is free again', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const init = identifyProcess(child.pid ?? 0);
  expect(init).toBeDefined();
  const registry = new WorkloadRegistry();
  const cgroup = ':/machine/x';
  registry.register({ id: 'old', workload: parseWorkload('web'), cgroup, ...(init && { init }) });
  expect(registry.sweep()).toBe(false);

  child.kill('SIGKILL');
  await once(child, 'exit');
  registry.register({ id: 'new', workload: parseWorkload('worker'), cgroup });
  expect(registry.list().map(({ id }) => id)).toEqual(['new']);
});
