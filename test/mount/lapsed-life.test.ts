// How lapsed starts, ends and fails: in time, with a clear word, and with nothing left behind.
import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Host, soon, underHolder } from '../support/lapsed.ts';
import type { ConfigChanges } from '../support/lapsed.ts';
import { onOneMachine } from '../support/lapsed-anew.ts';

const LAPSED = fileURLToPath(new URL('../../bin/lapsed', import.meta.url));
const MAIN = fileURLToPath(new URL('../../daemon/main.ts', import.meta.url));

/** What a reader gets from a mount without a server. */
const UNSERVED = ['EACCES', 'ENOTCONN', 'ECONNABORTED'];

/** The public place and the private one. */
const BOTH = ['fuse.lapse', 'fuse.lapse'];

const secretValue = (): string => randomBytes(24).toString('base64url');

function run(program: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { timeout: 20_000, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program}: ${stderr}`);
}

/** Of each thread of a process; field 19 of proc_pid_stat(5), counted behind the name, which may hold anything. */
function priorities(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).map((tid) => {
    const [, rest = ''] = /\) (.*)$/s.exec(readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1')) ?? [];
    return Number(rest.split(' ')[16]);
  });
}

it.each([
  ['has been given more', '-10', [-10, 0]],
  ['has less', '5', [5]],
] as const)('the thread that serves steps back where the process %s', async (_, nice, expected) => {
  await using host = await Host.start({ lapsed: false });
  const { server } = await host.startLapsed({}, ['nice', '-n', nice, LAPSED]);
  const found = priorities(server);
  expect([...new Set(found)].toSorted((a, b) => a - b)).toEqual(expected);
  // The one that serves, and no other.
  expect(found.filter((each) => each === 0)).toHaveLength(expected.length - 1);
});

describe('the end of lapsed', () => {
  let host: Host;
  let value: string;

  onOneMachine(async () => {
    host = await Host.start();
    value = secretValue();
    await host.put('db', value, '--grant', 'web');
    await host.lapsed.end();
    return host;
  });

  afterEach(() => host.lapsed[Symbol.asyncDispose]());

  /** Starts lapsed, and three readers that read without a pause until they no longer can. */
  async function underReaders() {
    await host.startLapsed();
    const readers = [];
    for (const _ of [1, 2, 3]) {
      const probe = await host.inWorkload('web');
      await expect.poll(() => probe.cat('self/db'), soon).toBe(value);
      const held = await probe.open('self/db');
      await probe.map(held);
      expect(await probe.touch()).toBe(value);
      readers.push({ probe, held, ended: probe.loop(held) });
    }
    return readers;
  }

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: code 0, nothing mounted, mapped or running',
    async (signal) => {
      const readers = await underReaders();
      expect(await host.lapsed.end(signal)).toMatchObject({ code: 0, signal: null });
      await expectNothingLeft(host);
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
    await expectNothingLeft(host);
  });

  it('what was compiled waits for the next server, where nobody else enters', async () => {
    await host.startLapsed();
    const run = dirname(host.places.control);
    const compiled = (): number =>
      readdirSync(join(run, 'compiled'), { recursive: true, withFileTypes: true }).filter((entry) =>
        entry.isFile(),
      ).length;
    await expect.poll(compiled, soon).toBeGreaterThan(100);
    expect(statSync(run).mode & 0o777).toBe(0o700);
    await host.lapsed.end();
  });

  it('SIGTERM while it starts: the mount that it has made is taken away', async () => {
    await using lapsed = await host.launchLapsed();
    await expect.poll(() => host.mounts, { ...soon, interval: 1 }).not.toEqual([]);
    const { code } = await lapsed.end();
    expect(host.mounts).toEqual([]);
    // The holder gives it two seconds, and takes the mount away itself when the start needs more.
    if (code !== 0) expect(lapsed.log).toMatch(/^holder: did not end within 2\.00 s, giving up$/m);
  });

  it('the holder is killed: the server notices, and ends in order', async () => {
    const readers = await underReaders();
    expect(await host.lapsed.end('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
    await host.lapsed.gone();
    expect(host.lapsed.log).toMatch(/ending: nobody holds this server/);
    await expectNothingLeft(host);
    for (const { probe, ended } of readers) {
      expect(UNSERVED).toContain(await ended);
      expect(await probe.touch()).toBe('SIGBUS');
    }
  });

  it('the holder is killed during a hand-over: likewise, also the one that waits to serve', async () => {
    await host.startLapsed({ dead_after: '60s' });
    const { server } = host.lapsed;
    host.lapsed.signal('SIGHUP');
    await host.lapsed.said(/next: started/);
    // It cannot yield now, so the next one waits.
    process.kill(server, 'SIGSTOP');
    await host.lapsed.said(/ is to yield/);
    expect(await host.lapsed.end('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
    process.kill(server, 'SIGCONT');
    await host.lapsed.gone();
    await expectNothingLeft(host);
  });

  it('holder and server are killed: two mounts are left, which the next start replaces', async () => {
    const [reader] = await underReaders();
    host.lapsed.killAll();
    await host.lapsed.ended();
    await host.lapsed.gone();
    expect(host.mounts).toEqual(BOTH);
    expect(UNSERVED).toContain(await reader!.ended);
    expect(await reader!.probe.cat('self/db')).toBe('ENOTCONN');

    await host.startLapsed();
    expect(host.mounts).toEqual(BOTH);
    await expect.poll(() => reader!.probe.cat('self/db'), soon).toBe(value);
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
    run('umount', '-l', connections);
    await expectFatal(host);
    expect(UNSERVED).toContain(await reader!.ended);
  });
});

/** The mounts are gone by the end of the holder; a helper of its own that has told it of a death may end a moment later. */
async function expectNothingLeft(host: Host): Promise<void> {
  expect(host.mounts).toEqual([]);
  await host.lapsed.gone();
}

async function expectFatal(host: Host): Promise<void> {
  expect(await host.lapsed.ended()).toMatchObject({ code: 1, signal: null });
  expect(host.lapsed.log).toMatch(/^<3>lapsed: fatal: .*taken away/m);
  expect(host.lapsed.log).toMatch(/^holder: \d+ cannot go on, giving up$/m);
  await expectNothingLeft(host);
}

describe('a start that is refused', () => {
  let host: Host;

  onOneMachine(async () => (host = await Host.start({ lapsed: false })));

  /** One line of its own with a code, exit code 1, and no mount that was not there before. */
  async function expectRefusal(
    code: string,
    says: RegExp,
    changes: ConfigChanges,
    command?: readonly [string, ...string[]],
  ): Promise<void> {
    const before = host.mounts;
    const lapsed = await host.launchLapsed(changes, command);
    expect(await lapsed.ended()).toMatchObject({ code: 1, signal: null });
    const own = lapsed.log.split('\n').filter((line) => line !== '' && !line.startsWith('holder: '));
    expect(own, lapsed.log).toEqual([expect.stringMatching(/^lapsed: /)]);
    expect(own[0]?.endsWith(`[${code}]`), own[0]).toBe(true);
    expect(own[0]).toMatch(says);
    expect(host.mounts).toEqual(before);
    await lapsed.gone();
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

  it('a machine that has joined no realm', () =>
    expectRefusal('host-not-joined', /lapsed join/, { state: join(host.places.work, 'nothing') }));

  it.each<[string, string, RegExp, (state: string) => void]>([
    ['a root that is not there', 'host-unreadable', /root/, (state) => rmSync(join(state, 'root.json'))],
    [
      'a root that is none',
      'metadata-malformed',
      /./,
      (state) => writeFileSync(join(state, 'root.json'), '{}'),
    ],
    ['a torn host.json', 'host-unreadable', /damaged/, (state) => truncateSync(join(state, 'host.json'), 40)],
    [
      'a service that is not on loopback, without a pin',
      'pin-needed',
      /needs a pin/,
      (state) => {
        const file = join(state, 'host.json');
        const { pin: _, ...rest } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
        writeFileSync(file, JSON.stringify(rest));
      },
    ],
    [
      'a key that others can read',
      'key-unreadable',
      /chmod 600/,
      (state) => chmodSync(join(state, 'host.ed25519'), 0o644),
    ],
    [
      'a key that is torn',
      'key-unreadable',
      /x25519/,
      (state) => truncateSync(join(state, 'host.x25519'), 20),
    ],
  ])('%s', (_, code, says, damage) => {
    const state = join(host.places.work, `state-${code}`);
    rmSync(state, { recursive: true, force: true });
    cpSync(host.places.state, state, { recursive: true });
    damage(state);
    return expectRefusal(code, says, { state });
  });

  it('core dumps that are allowed', () =>
    expectRefusal('core-dumps-allowed', /ulimit -c 0/, {}, limited('ulimit -c unlimited')));

  it('memory that cannot be locked', () =>
    expectRefusal('memory-not-locked', /ulimit -l/, {}, [
      'setpriv',
      '--bounding-set=-ipc_lock',
      ...limited('ulimit -c 0 && ulimit -l 64'),
    ]));

  it('a control socket that cannot be made, when everything is mounted already', () => {
    const control = join(host.places.work, 'x'.repeat(100), 'control.sock');
    return expectRefusal('control-unavailable', /cannot listen/, { control });
  });

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
    // The same directory for its own files: it must not come so far as to look at the mount.
    const second = await host.launchLapsed({}, underHolder(host.places, { startMs: 2000 }));
    expect(await second.ended()).toMatchObject({ code: 1, signal: null });
    expect(second.log).toMatch(/^holder: .* is in use$/m);
    await second.gone();
    // The same mount.
    const control = join(host.places.work, 'other', 'control.sock');
    await expectRefusal('mount-in-use', /served already/, { control });
    expect(host.mounts).toEqual(BOTH);
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
    await host.startService();
    await expect.poll(() => web.cat('self/db'), soon).toBe(value);

    await host.stopService();
    const { lease: before } = await host.statusOf('a stream that is down', ({ stream }) => stream === 'down');
    await host.startService();
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
