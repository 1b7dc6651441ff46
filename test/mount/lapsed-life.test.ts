// How lapsed starts, ends and fails: in time, with a clear word, and with nothing left behind.
import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Host } from '../support/lapsed.ts';
import type { ConfigChanges, Ending } from '../support/lapsed.ts';

const MAIN = fileURLToPath(new URL('../../daemon/main.ts', import.meta.url));

/** What a reader gets from a mount without a server. */
const UNSERVED = ['EACCES', 'ENOTCONN', 'ECONNABORTED'];

const secretValue = (): string => randomBytes(24).toString('base64url');

function run(program: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { timeout: 5000, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program}: ${stderr}`);
}

describe('the end of lapsed', () => {
  let host: Host;
  let value: string;

  beforeAll(async () => {
    host = await Host.start();
    value = secretValue();
    await host.put('db', value, '--grant', 'web');
    await host.lapsed.end();
  });

  afterEach(() => host.lapsed[Symbol.asyncDispose]());
  afterAll(() => host[Symbol.asyncDispose]());

  /** Starts lapsed, and three readers that read without a pause until they no longer can. */
  async function underReaders() {
    await host.startLapsed();
    const readers = [];
    for (const _ of [1, 2, 3]) {
      const probe = await host.inWorkload('web');
      await expect.poll(() => probe.cat('self/db')).toBe(value);
      const held = await probe.open('self/db');
      await probe.map(held);
      expect(await probe.touch()).toBe(value);
      readers.push({ probe, held, ended: probe.loop(held) });
    }
    return readers;
  }

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: within 2 s, code 0, nothing mounted or mapped',
    async (signal) => {
      const readers = await underReaders();
      const { ms, ...ending } = await host.lapsed.end(signal);
      expect(ending).toEqual({ code: 0, signal: null });
      expect(ms).toBeLessThan(2000);
      expect(host.mounts).toEqual([]);
      for (const { probe, held, ended } of readers) {
        expect(UNSERVED).toContain(await ended);
        expect(UNSERVED).toContain(await probe.read(held));
        expect(await probe.touch()).toBe('SIGBUS');
        expect(await probe.cat('self/db')).toBe('ENOENT');
      }
    },
  );

  it('SIGTERM again and again: as once', async () => {
    await underReaders();
    while (host.lapsed.running) {
      host.lapsed.signal('SIGTERM');
      await sleep(5);
    }
    expect(await host.lapsed.ended()).toMatchObject({ code: 0, signal: null });
    expect(host.mounts).toEqual([]);
  });

  it('SIGTERM while it starts: the mount that it has made is taken away', async () => {
    const lapsed = await host.launchLapsed();
    await expect.poll(() => host.mounts, { interval: 1 }).toEqual(['fuse.lapse']);
    expect(await lapsed.end()).toMatchObject({ code: 0, signal: null });
    expect(host.mounts).toEqual([]);
  });

  it('SIGKILL leaves a mount, which the next start replaces', async () => {
    const [reader] = await underReaders();
    await host.lapsed.end('SIGKILL');
    expect(host.mounts).toEqual(['fuse.lapse']);
    expect(UNSERVED).toContain(await reader!.ended);
    expect(await reader!.probe.cat('self/db')).toBe('ENOTCONN');

    await host.startLapsed();
    expect(host.mounts).toEqual(['fuse.lapse']);
    await host.register(reader!.probe, 'web');
    await expect.poll(() => reader!.probe.cat('self/db')).toBe(value);
    expect(UNSERVED, 'what was opened before does not come back').toContain(
      await reader!.probe.read(reader!.held),
    );
  });

  it('the mount is taken away: it ends by itself, and leaves nothing', async () => {
    await host.startLapsed();
    run('umount', '-i', '-l', host.mount);
    await expectFatal(host);
  });

  it('the mount is taken away under open files, which would keep it alive: likewise', async () => {
    const readers = await underReaders();
    run('umount', '-i', '-l', host.mount);
    await expectFatal(host);
    for (const { ended } of readers) expect(UNSERVED).toContain(await ended);
  });

  it('the connection is aborted: it ends by itself, and leaves nothing', async () => {
    const [reader] = await underReaders();
    const { dev } = statSync(host.mount);
    const connections = join(host.places.work, 'connections');
    mkdirSync(connections);
    run('mount', '-t', 'fusectl', 'none', connections);
    writeFileSync(join(connections, String(dev), 'abort'), '1');
    run('umount', connections);
    await expectFatal(host);
    expect(UNSERVED).toContain(await reader!.ended);
  });
});

async function expectFatal(host: Host): Promise<void> {
  const { ms, ...ending } = await host.lapsed.ended();
  expect(ending).toEqual({ code: null, signal: 'SIGKILL' });
  expect(ms).toBeLessThan(2000);
  expect(host.lapsed.log).toMatch(/^<3>lapsed: fatal: .*taken away/m);
  expect(host.mounts).toEqual([]);
}

describe('a start that is refused', () => {
  let host: Host;

  beforeAll(async () => {
    host = await Host.start({ lapsed: false });
  });

  afterAll(() => host[Symbol.asyncDispose]());

  /** One line with a code, exit code 1, and no mount that was not there before. */
  async function expectRefusal(
    code: string,
    says: RegExp,
    changes: ConfigChanges,
    command?: readonly [string, ...string[]],
  ): Promise<void> {
    const before = host.mounts;
    const lapsed = await host.launchLapsed(changes, command);
    const { ms: _, ...ending }: Ending = await lapsed.ended();
    expect(lapsed.log.trimEnd().split('\n')).toEqual([expect.stringMatching(/^lapsed: /)]);
    expect(lapsed.log.trimEnd().endsWith(`[${code}]`), lapsed.log).toBe(true);
    expect(lapsed.log).toMatch(says);
    expect(ending).toEqual({ code: 1, signal: null });
    expect(host.mounts).toEqual(before);
  }

  const node = (...prefix: [string, ...string[]]): [string, ...string[]] => [
    ...prefix,
    process.execPath,
    MAIN,
  ];
  const limited = (limits: string): [string, ...string[]] => node('sh', '-c', `${limits} && exec "$@"`, 'sh');

  it('an unknown key', () => expectRefusal('config-malformed', /arenna is unknown/, { arenna: '6 MiB' }));

  it('a value out of range', () => expectRefusal('config-malformed', /slots must be/, { slots: 0 }));

  it('no configuration', () =>
    expectRefusal('config-unreadable', /cannot read .*nowhere/, {}, [
      ...limited('ulimit -c 0 && set -- "$1" "$2" --config /nowhere'),
    ]));

  it('a service that is not on loopback', () =>
    expectRefusal('usage', /loopback/, { service: 'http://192.0.2.1:7700' }));

  it('a root that is not there', () =>
    expectRefusal('config-unreadable', /root .*nowhere/, { root: '/nowhere/root.json' }));

  it('a root that is none', () => {
    const root = join(host.places.work, 'not-a-root.json');
    writeFileSync(root, '{}');
    return expectRefusal('metadata-malformed', /./, { root });
  });

  it('a key that others can read', async () => {
    const key = join(host.places.operator, 'pools', 'default.x25519');
    chmodSync(key, 0o644);
    await expectRefusal('key-unreadable', /chmod 600/, {});
    chmodSync(key, 0o600);
  });

  it('core dumps that are allowed', () =>
    expectRefusal('core-dumps-allowed', /ulimit -c 0/, {}, limited('ulimit -c unlimited')));

  it('memory that cannot be locked', () =>
    expectRefusal('memory-not-locked', /ulimit -l/, {}, [
      'setpriv',
      '--bounding-set=-ipc_lock',
      ...limited('ulimit -c 0 && ulimit -l 64'),
    ]));

  it('a foreign mount on its mountpoint, which stays', async () => {
    mkdirSync(host.mount, { recursive: true });
    run('mount', '-t', 'tmpfs', 'none', host.mount);
    await expectRefusal('mount-foreign', /tmpfs/, {});
    run('umount', host.mount);
  });

  it('a second one on the same configuration, which leaves the first alone', async () => {
    await host.startLapsed();
    const value = secretValue();
    await host.put('db', value, '--grant', 'web');
    const web = await host.inWorkload('web');
    const held = await web.open('self/db');
    await expectRefusal('mount-in-use', /served already/, {});
    await expectRefusal('control-unavailable', /another lapsed/, { mount: join(host.places.work, 'other') });
    expect(await web.read(held)).toBe(value);
    expect((await host.status()).lease.holds).toBe(true);
    await host.revoke('db');
    expect(await web.read(held)).toBe('EACCES');
    await host.lapsed.end();
  });
});

describe('lapsed and its service', () => {
  it('starts without it and serves nothing, then everything; survives its restart', async () => {
    await using host = await Host.start({ lease: '9s' });
    const value = secretValue();
    await host.put('db', value, '--grant', 'web');
    await host.lapsed.end();

    await host.stopService();
    await host.launchLapsed();
    await host.statusOf('status without a lease', ({ lease }) => !lease.holds);
    const web = await host.inWorkload('web');
    expect(await web.link('self')).toBe('w/web');
    expect(['ENOENT', 'EACCES']).toContain(await web.cat('self/db'));
    host.startService();
    await expect.poll(() => web.cat('self/db'), { timeout: 10_000 }).toBe(value);

    await host.stopService();
    const { lease: before } = await host.statusOf('a stream that is down', ({ stream }) => stream === 'down');
    host.startService();
    await host.statusOf('a new stream', ({ stream }) => stream === 'open');
    await host.statusOf('a longer lease', ({ lease }) => lease.remainingMs > before.remainingMs);
    const next = secretValue();
    await host.rotate('db', next);
    expect(await web.cat('self/db')).toBe(next);
    await host.revoke('db');
    expect(await web.cat('self/db')).toBe('ENOENT');
  });

  it('serves one workload through fuse-native', async () => {
    await using host = await Host.start({ lapsed: false });
    await host.startLapsed({ engine: 'fuse-native', workload: 'web' });
    const value = secretValue();
    await host.put('db', value, '--grant', 'web');
    await host.put('other', secretValue(), '--grant', 'api');
    const anybody = await host.unregistered();
    expect(await anybody.link('self')).toBe('w/web');
    expect(await anybody.cat('self/db')).toBe(value);
    expect(await anybody.cat('self/other')).toBe('ENOENT');
    const held = await anybody.open('self/db');
    await host.revoke('db');
    expect(await anybody.read(held)).toBe('EACCES');
    expect(await anybody.cat('self/db')).toBe('ENOENT');
    expect(await host.lapsed.end()).toMatchObject({ code: 0 });
    expect(host.mounts).toEqual([]);
  });
});
