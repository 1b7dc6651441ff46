// Who a thread is, by its control group: texts of all three kinds of host, and the kernel's own answer for a child.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { CgroupReader, parseCgroup } from '../../../daemon/identity/cgroup.ts';

describe('the text of /proc/PID/cgroup', () => {
  test.for<[string, string | undefined, string]>([
    ['version 2', ':/system.slice/web', '0::/system.slice/web\n'],
    ['version 2, the root', undefined, '0::/\n'],
    [
      'version 1',
      'name=systemd:/docker/ab',
      '3:cpu,cpuacct:/x\n2:pids:/docker/cd\n1:name=systemd:/docker/ab\n',
    ],
    ['version 1, systemd’s at the root', 'pids:/docker/cd', '2:pids:/docker/cd\n1:name=systemd:/\n'],
    [
      'version 1, the first of those that containers get',
      'devices:/d',
      '4:memory:/m\n3:freezer:/f\n2:devices:/d\n',
    ],
    ['version 1, all at the root', undefined, '4:memory:/\n3:pids:/\n1:name=systemd:/\n'],
    ['version 1, controllers that share a mount', 'memory:/m', '3:cpu,memory:/m\n'],
    ['version 1, only controllers that are not asked', undefined, '3:cpu:/x\n2:net_cls:/x\n'],
    ['hybrid: version 2 speaks first', ':/web', '2:pids:/other\n1:name=systemd:/third\n0::/web\n'],
    ['hybrid: unless it is the root', 'name=systemd:/web', '2:pids:/other\n1:name=systemd:/web\n0::/\n'],
    ['a path with a colon', ':/a:b/c', '0::/a:b/c\n'],
    ['a group outside this namespace', undefined, '0::/../web\n'],
    ['a group outside, deeper', undefined, '0::/a/../../web\n'],
    ['no line end', ':/web', '0::/web'],
    ['nothing', undefined, ''],
    ['nonsense', undefined, 'web\n0:/web\n0::web\nx::/web\n'],
  ])('%s: %s', ([, group, text]) => {
    expect(parseCgroup(text)).toBe(group);
  });
});

describe('a thread', () => {
  const children: ChildProcess[] = [];
  const reader = new CgroupReader();

  /** A process that is there until it is killed; its main thread has its id. */
  async function start(): Promise<ChildProcess & { pid: number }> {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    children.push(child);
    await once(child, 'spawn');
    return child as ChildProcess & { pid: number };
  }

  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  afterEach(async () => {
    await Promise.all(children.splice(0).map(kill));
  });

  test('is in the group that the kernel says, as often as it is asked', async () => {
    const { pid } = await start();
    const group = parseCgroup(readFileSync(`/proc/${pid}/cgroup`, 'latin1'));
    expect([reader.read(pid), reader.read(pid)]).toEqual([group, group]);
  });

  test('need not be the first of its process', () => {
    const tids = readdirSync('/proc/self/task').map(Number);
    expect(tids.length).toBeGreaterThan(1);
    const group = reader.read(process.pid);
    for (const tid of tids) expect(reader.read(tid)).toBe(group);
  });

  test('that is dead has none, known before or not', async () => {
    const [known, unknown] = [await start(), await start()];
    const group = reader.read(known.pid);
    await Promise.all([kill(known), kill(unknown)]);
    expect(reader.read(known.pid)).toBeUndefined();
    expect(reader.read(unknown.pid)).toBeUndefined();
    expect(parseCgroup(readFileSync('/proc/self/cgroup', 'latin1'))).toBe(group);
  });

  test.for([0, -1, 2 ** 31 - 1])('%i is nobody', (tid) => {
    expect(reader.read(tid)).toBeUndefined();
  });

  test('many of them do not use up descriptors', async () => {
    const many = await Promise.all(Array.from({ length: 20 }, start));
    const tids = [
      ...many.map(({ pid }) => pid),
      ...readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map(Number),
    ];
    const before = readdirSync('/proc/self/fd').length;
    for (const tid of tids) reader.read(tid);
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before + 256);
  });
});
