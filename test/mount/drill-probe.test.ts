// The probe of drills, on a file in memory that nobody takes back, and on a real mount. On the file, held
// descriptors and mappings live on: that they are counted there is the control of every zero on the mount.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ProbeGroup, findHierarchy } from '../../daemon/drill/probe-group.ts';
import type { Probe } from '../../daemon/drill/probe.ts';
import { wayRecords } from '../../daemon/drill/way-record.ts';
import { parseCgroup } from '../../daemon/identity/cgroup.ts';
import { fnv1a } from '../../demo/records.ts';
import { clearStale } from '../../fuse/mount.ts';
import { WAYS } from '../../manifest/realm/drill/statement.ts';
import type { Way, WayRecord } from '../../manifest/realm/drill/statement.ts';
import { Canary, PROBE_PROGRAM, inSeconds, now, patience, processesWith } from '../support/drill-canary.ts';
import { HELLO, NODE } from '../support/fuse-static-tree.ts';
import { Mountpoint, ServerProcess } from '../support/fuse-server.ts';
import { until } from '../support/lapsed.ts';

const ENOENT = 2;
const EACCES = 13;
const ENOTCONN = 107;
const BUS = 1000;
const failed = expect.objectContaining({ code: 'probe-failed' }) as Error;
const hashOf = (value: string): bigint => fnv1a(Buffer.from(value));
const ended = (group: ProbeGroup): Promise<true> =>
  until('end of the probe', () => Promise.resolve(group.members.length === 0 || undefined), 20_000);

describe('a file in memory', () => {
  let canary: Canary;

  beforeEach(() => {
    canary = new Canary();
    return () => canary[Symbol.asyncDispose]();
  });

  it('is read in all four ways, by a process in a group of its own', async () => {
    canary.put('first');
    const place = ProbeGroup.make();
    const probe = await canary.probe({ place });
    expect(await probe.untilShown(0n, patience())).toBe(hashOf('first'));
    const [pid] = place.members;
    expect(parseCgroup(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))).toBe(place.cgroup());
    expect(place.cgroup()).toMatch(/^:\/.*lapse-probe-[0-9a-f]{12}$/);
  });

  it('may be as large as a value can be', async () => {
    const large = 'x'.repeat(1 << 16);
    canary.put(large);
    expect(await (await canary.probe()).untilShown(0n, patience())).toBe(hashOf(large));
  });

  it('may come later, with its directory', async () => {
    const probe = await canary.probe();
    expect(await probe.untilShown(0n, AbortSignal.timeout(50))).toBeUndefined();
    canary.put('at last');
    expect(await probe.untilShown(0n, patience())).toBe(hashOf('at last'));
    canary.put('heard');
    await until('an event', () => Promise.resolve(probe.pulse().told > 0n || undefined));
  });

  it('counts to one what began after the effect, also when it hears of that later', async () => {
    canary.put('old');
    const probe = await canary.probe();
    const hash = (await probe.untilShown(0n, patience()))!;
    expect(await probe.arm(1, hash, patience())).toBe(true);
    const armed = probe.snapshot();
    const enough = (): boolean =>
      WAYS.every((way) => probe.snapshot()[way].current!.reads >= armed[way].current!.reads + 10);
    await until('reads', () => Promise.resolve(enough() || undefined));
    probe.effect(1n);
    expect(await probe.untilCounted(patience())).toBe(true);
    for (const way of WAYS) {
      const { late, attemptsAfter, current } = probe.snapshot()[way];
      expect(late, `${way}: everything since the trial began`).toBe(attemptsAfter);
      expect(late).toBeLessThanOrEqual(current!.reads);
      expect(late, way).toBeGreaterThanOrEqual(10);
    }
    canary.remove();
    const removed = now();
    expect(await probe.untilRefused(removed, AbortSignal.timeout(50)), 'two live on').toBe(false);
    const soon = inSeconds(3600);
    probe.effect(soon);
    expect(await probe.untilCounted(patience())).toBe(true);
    for (const way of WAYS)
      expect(probe.snapshot()[way], 'nothing yet').toMatchObject({ late: 0, attemptsAfter: 0 });
    probe.effect(removed);
    expect(await probe.untilCounted(patience())).toBe(true);
    const { reopen, held, mapped, watched } = wayRecords(probe.snapshot(), hash);
    for (const way of [held, mapped]) {
      expect(way.late).toBe(way.attemptsAfter);
      expect(way.late).toBeGreaterThan(0);
      expect(way).not.toHaveProperty('firstDenied');
    }
    for (const way of [reopen, watched]) {
      expect(way).toMatchObject({ late: 0, errno: ENOENT });
      expect(way.attemptsAfter).toBeGreaterThan(0);
      expect(way.firstDenied).toBeGreaterThanOrEqual(way.lastRead! - 1);
    }
    expect(await probe.arm(2, hash, patience())).toBe(true);
    expect(wayRecords(probe.snapshot(), hash).held).toMatchObject({ late: 0, attemptsAfter: 0 });
  });

  it('that another one replaces: the last read of the old and the first of the new', async () => {
    canary.put('old');
    const probe = await canary.probe();
    const old = (await probe.untilShown(0n, patience()))!;
    await probe.arm(1, old, patience());
    const replaced = now();
    canary.put('new');
    const { reopen } = probe.snapshot();
    expect(reopen.current?.hash).toBeOneOf([old, hashOf('new')]);
    await until('the new one', () =>
      Promise.resolve(probe.snapshot().watched.previous && probe.snapshot().reopen.previous && true),
    );
    const seen = probe.snapshot();
    for (const way of ['reopen', 'watched'] as const) {
      const { previous, current } = seen[way];
      expect([previous?.hash, current?.hash]).toEqual([old, hashOf('new')]);
      expect(previous!.lastRead.start).toBeLessThan(current!.firstRead.start);
      expect(current!.firstRead.end).toBeGreaterThan(replaced);
      const record = wayRecords(seen, old)[way];
      expect(record.lastRead).toBe(Number(previous!.lastRead.end / 1000n));
      expect(record.firstNew).toBe(Number(current!.firstRead.end / 1000n));
      expect(record.reads).toBe(previous!.reads);
    }
    for (const way of ['held', 'mapped'] as const) expect(seen[way].current?.hash, 'held on to').toBe(old);
    expect(await probe.untilShown(replaced, patience()), 'and let go').toBe(hashOf('new'));
  });

  it('is read on when who started the probe is killed, and the next one finds it', async () => {
    canary.put('old');
    const starter = fileURLToPath(new URL('./drill-probe-starter.ts', import.meta.url));
    const parent = fork(starter, [canary.path, canary.run], { execArgv: [] });
    const [directory] = (await once(parent, 'message')) as [string];
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    const probe = await canary.adopt();
    const { rounds } = probe!.pulse();
    await until('more rounds', () => Promise.resolve(probe!.pulse().rounds > rounds || undefined));
    const since = now();
    canary.put('new');
    expect(await probe!.untilShown(since, patience())).toBe(hashOf('new'));
    await probe!.stop();
    expect(existsSync(directory)).toBe(false);
  });

  it('is read until the end that was set, and what is left is removed by the next', async () => {
    canary.put('old');
    const place = ProbeGroup.make();
    const probe = await canary.probe({ place });
    probe.until(now());
    await ended(place);
    await expect(probe.untilRefused(0n, patience())).rejects.toThrow(failed);
    expect(existsSync(place.directory)).toBe(true);
    expect(await canary.adopt()).toBeUndefined();
    expect(existsSync(place.directory)).toBe(false);
    expect(readdirSync(canary.run)).toEqual([]);
  });

  it('is read no more after a stop, also where the probe hangs, and nothing is left', async () => {
    canary.put('old');
    for (const hangs of [false, true]) {
      const place = ProbeGroup.make();
      const probe = await canary.probe({ place });
      if (hangs) process.kill(place.members[0]!, 'SIGSTOP');
      await Promise.all([probe.stop(), probe.stop()]);
      expect(processesWith(canary.path)).toEqual([]);
      expect(existsSync(place.directory)).toBe(false);
      expect(readdirSync(canary.run)).toEqual([]);
    }
  });

  it('is read by a command of the operator that starts the probe elsewhere', async () => {
    canary.put('old');
    const probe = await canary.probe({ place: ['/usr/bin/env'], pauseUs: 0 });
    expect(await probe.untilShown(0n, patience())).toBe(hashOf('old'));
    expect(processesWith(canary.path)).toHaveLength(1);
    expect((await canary.adopt())?.isRunning).toBe(true);
    await probe.stop();
    expect(processesWith(canary.path)).toEqual([]);
  });

  it('is not read by what cannot be started, and nothing is left', async () => {
    const place = ProbeGroup.make();
    await expect(canary.probe({ place, program: '/nowhere/probe' })).rejects.toThrow(failed);
    await expect(canary.probe({ place: ['/nowhere/runc'] })).rejects.toThrow(failed);
    await expect(canary.probe({ place: ['/bin/false'] })).rejects.toThrow(failed);
    expect(existsSync(place.directory)).toBe(false);
    expect(readdirSync(canary.run)).toEqual([]);
  });

  it('and a page of garbage: neither side takes it for one', async () => {
    const garbage = join(canary.directory, 'garbage');
    writeFileSync(garbage, Buffer.alloc(4096, 0x5a));
    const descriptor = openSync(garbage, 'r+');
    const child = spawn(PROBE_PROGRAM, [canary.path, '100'], {
      stdio: ['ignore', 'ignore', 'ignore', descriptor],
    });
    closeSync(descriptor);
    expect(await once(child, 'exit')).toEqual([3, null]);

    const place = ProbeGroup.make();
    const probe = await canary.probe({ place });
    writeFileSync(join(canary.run, 'page'), Buffer.alloc(4096, 0x5a));
    expect(() => probe.snapshot()).toThrow(failed);
    expect(await canary.adopt(), 'it is ended').toBeUndefined();
    expect(place.members).toEqual([]);
  });

  it('and a process that got the number of a probe is left alone', async () => {
    canary.put('old');
    const probe = await canary.probe({ place: ['/usr/bin/env'] });
    const file = join(canary.run, 'probe.json');
    const state = JSON.parse(readFileSync(file, 'utf8')) as object;
    // Two that began within one tick of the kernel's clock, 10 ms, could not be told apart.
    await sleep(30);
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    writeFileSync(file, JSON.stringify({ ...state, pid: other.pid }));
    expect(await canary.adopt()).toBeUndefined();
    expect(other.kill(0)).toBe(true);
    other.kill('SIGKILL');
    await until('its page ends it', () => Promise.resolve(!probe.isRunning || undefined));
  });
});

describe('the group of a probe', () => {
  const hybrid = [
    '31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw',
    '41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
  ].join('\n');

  it('is below our own, else at the root', () => {
    expect(findHierarchy(hybrid, '4:memory:/x\n0::/system.slice/lapsed.service\n')).toEqual({
      directory: '/sys/fs/cgroup/unified',
      parents: ['/system.slice/lapsed.service', '/'],
    });
    for (const outside of ['0::/\n', '0::/../other\n'])
      expect(findHierarchy(hybrid, outside).parents).toEqual(['/']);
  });

  it('needs the unified hierarchy, and a place in it', () => {
    expect(() => findHierarchy(hybrid.split('\n')[0]!, '0::/\n')).toThrow(failed);
    expect(() => findHierarchy(hybrid, '4:memory:/x\n')).toThrow(failed);
    expect(() => ProbeGroup.make({ directory: '/proc', parents: ['/self', '/'] })).toThrow(failed);
  });
});

describe('a mount of ours', () => {
  let point: Mountpoint;
  let canary: Canary;
  let server: ServerProcess;
  let probe: Probe;
  let trial = 0;

  beforeAll(async () => {
    point = new Mountpoint();
    canary = new Canary();
    server = await ServerProcess.start('kernel', point.path);
    probe = await canary.probe({ path: join(point.path, 'hello') });
  });

  afterAll(async () => {
    await server.kill();
    await canary[Symbol.asyncDispose]();
    point[Symbol.dispose]();
  });

  /** Kills the server, and mounts anew what another one serves. */
  async function restart(): Promise<void> {
    await server.kill();
    await clearStale(point.path, { subtype: 'lapse', signal: patience() });
    server = await ServerProcess.start('kernel', point.path);
  }

  /** A trial begins when every way reads. */
  async function arm(): Promise<bigint> {
    const hash = await probe.untilShown(0n, patience());
    expect(hash).toBe(fnv1a(HELLO));
    expect(await probe.arm(++trial, hash!, patience())).toBe(true);
    return hash!;
  }

  /** The server denies, and the kernel is not told to forget: whether the mapping lived on. */
  async function denyOnly(): Promise<boolean> {
    await arm();
    expect(await server.send({ do: 'deny' })).toBe(true);
    const denied = now();
    probe.effect(denied);
    const { mapped } = await counted(1);
    return mapped.errno !== BUS;
  }

  /** When every way has tried so often after the effect. */
  async function counted(attempts: number): Promise<Record<Way, WayRecord>> {
    expect(await probe.untilCounted(patience())).toBe(true);
    const enough = (): true | undefined =>
      WAYS.every((way) => probe.snapshot()[way].attemptsAfter >= attempts) || undefined;
    await until('attempts', () => Promise.resolve(enough()));
    return wayRecords(probe.snapshot(), fnv1a(HELLO));
  }

  it('that denies, and does not tell the kernel: a mapping reads on, and is counted; told, none reads', async () => {
    // A try before this one may have left a server that denies.
    if (trial > 0) await restart();
    // Whoever opens in the very moment of the denial drops the page that the mapping would live on.
    for (let attempt = 1; !(await denyOnly()); attempt += 1) {
      expect(attempt).toBeLessThan(10);
      await restart();
    }
    const control = await counted(3);
    expect(control.mapped.late).toBe(control.mapped.attemptsAfter);
    for (const way of ['reopen', 'held', 'watched'] as const) expect(control[way].late, way).toBe(0);

    await server.send({ do: 'invalidate-inode', node: NODE.hello });
    const at = now();
    probe.effect(at);
    expect(await probe.untilRefused(at, patience())).toBe(true);
    const records = await counted(3);
    for (const way of WAYS) {
      expect(records[way].late, way).toBe(0);
      expect(records[way].lastRead, way).toBeLessThanOrEqual(Number(at / 1000n));
      expect(records[way].firstDenied, way).toBeGreaterThan(0);
    }
    expect(WAYS.map((way) => records[way].errno)).toEqual([ENOENT, EACCES, BUS, ENOENT]);
  });

  it('whose server dies: who asks is refused, and reads again when another one is mounted in its place', async () => {
    await restart();
    const hash = await arm();
    await server.kill();
    // What is mapped may live on: nobody is left who could tell the kernel.
    const asking = ['reopen', 'held', 'watched'] as const;
    // Who asked in the very moment of the death may have got another answer first.
    const refused = (): boolean =>
      asking.every((way) => probe.snapshot()[way].isRefused) &&
      wayRecords(probe.snapshot(), hash).reopen.errno === ENOTCONN;
    await until('refusals', () => Promise.resolve(refused() || undefined));
    const since = now();
    await restart();
    expect(await probe.untilShown(0n, patience())).toBe(hash);
    const seen = probe.snapshot();
    for (const way of asking) expect(seen[way].current!.lastRead.end, way).toBeGreaterThan(since);
  });
});
