// The public place of a file system whose own is writable: read-only from the first moment, also where it only arrives by
// propagation, and what somebody else mounted is never touched.
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clearStale, mount, publish } from '../../fuse/mount.ts';
import { compileReader, Hold, Home, Reader } from '../support/fuse-hold.ts';

const PUBLICATIONS = 20;
const PATIENCE = 20_000;

const tools = mkdtempSync(join(tmpdir(), 'lapse-tools-'));
const deadline = (): AbortSignal => AbortSignal.timeout(PATIENCE);
const system = (...command: string[]): void =>
  void execFileSync(command[0]!, command.slice(1), { timeout: PATIENCE });
let reader: string;

beforeAll(() => {
  reader = compileReader(tools);
});

afterAll(() => rmSync(tools, { recursive: true }));

/** How often mounts were seen on the directory, and how often one that could be written to. */
async function seen(watcher: Reader): Promise<{ mounts: number; writable: number }> {
  const [mounts, writable] = ((await watcher.finish()) ?? '').split(' ').map(Number);
  return { mounts: mounts!, writable: writable! };
}

/** What a place's mounts may do, and their peer group. */
function options(directory: string): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines
    .map((line) => line.split(' '))
    .flatMap((f) => (f[4] === directory ? [f.slice(5, 7).join(' ')] : []));
}

describe('a published file system', () => {
  it(`is read-only from its first moment, ${PUBLICATIONS} times`, async () => {
    await using hold = await Hold.start();
    const to = hold.home.at('to');
    mkdirSync(to);
    const elsewhere = ['unshare', '--mount', '--propagation', 'slave', reader, 'mounts', to] as const;
    await using propagated = await Reader.start(...elsewhere);
    await using here = await Reader.start(reader, 'mounts', to);
    for (let times = 0; times < PUBLICATIONS; times += 1) {
      await publish({ from: hold.private, to, signal: deadline() });
      system('umount', '-i', '-c', to);
    }
    await publish({ from: hold.private, to, signal: deadline() });
    for (const watcher of [propagated, here]) {
      const { mounts, writable } = await seen(watcher);
      expect(mounts).toBeGreaterThan(0);
      expect(writable).toBe(0);
    }
    system('umount', '-i', '-c', to);

    // The control: what everybody does stays writable where it was propagated to.
    await using control = await Reader.start(...elsewhere);
    system('mount', '--bind', hold.private, to);
    system('mount', '-o', 'remount,bind,ro,nosuid,nodev,noexec', to);
    expect((await seen(control)).writable).toBeGreaterThan(0);
    expect(options(to), 'though not here').toEqual([expect.stringMatching(/^ro,nosuid,nodev,noexec/)]);
  });

  it('cannot be changed through the public place by anybody', async () => {
    await using hold = await Hold.start();
    const file = join(hold.public, 'steady');
    expect(options(hold.public)).toEqual([expect.stringMatching(/^ro,nosuid,nodev,noexec/)]);
    expect(options(hold.private)).toEqual([expect.stringMatching(/^rw,nosuid,nodev,noexec/)]);
    const readOnly = { code: 'EROFS' };
    await expect(open(file, 'r+')).rejects.toMatchObject(readOnly);
    await expect(writeFile(join(hold.public, 'new'), '')).rejects.toMatchObject(readOnly);
    await expect(truncate(file, 1)).rejects.toMatchObject(readOnly);
    await expect(utimes(file, 1, 1)).rejects.toMatchObject(readOnly);
    await expect(rm(file)).rejects.toMatchObject(readOnly);
    expect(await readFile(file)).toHaveLength(8192);
    // Nor through the private one by any process but the server.
    await expect(truncate(join(hold.private, 'steady'), 1)).rejects.toMatchObject(readOnly);
  });

  it('is no peer of the private place: what lies over the one does not cover the other', async () => {
    await using hold = await Hold.start();
    system('mount', '-t', 'tmpfs', 'none', hold.public);
    expect(readdirSync(hold.public)).toEqual([]);
    expect(readdirSync(hold.private)).toContain('steady');
    system('umount', hold.public);
  });
});

describe('publishing', () => {
  it('leaves alone what is mounted there', async () => {
    await using hold = await Hold.start();
    const to = hold.home.at('to');
    mkdirSync(to);
    system('mount', '-t', 'tmpfs', 'none', to);
    writeFileSync(join(to, 'kept'), '');
    const foreign = publish({ from: hold.private, to, signal: deadline() });
    await expect(foreign).rejects.toMatchObject({ code: 'mount-foreign' });
    expect(readdirSync(to)).toEqual(['kept']);
    const again = publish({ from: hold.private, to: hold.public, signal: deadline() });
    await expect(again).rejects.toMatchObject({ code: 'mount-in-use' });
    expect(hold.home.mounts()).toEqual([hold.private, hold.public, to]);
  });

  it('leaves nothing behind when it fails', async () => {
    await using hold = await Hold.start();
    const to = hold.home.at('missing');
    const failed = publish({ from: hold.private, to, signal: deadline() });
    await expect(failed).rejects.toMatchObject({ code: 'mount-failed' });
    expect(hold.home.mounts()).toEqual([hold.private, hold.public]);
    expect(readdirSync(hold.home.path)).not.toContain('private.aside');
  });

  it('takes away what one that died in the middle left', async () => {
    await using hold = await Hold.start();
    const [to, aside] = [hold.home.at('to'), `${hold.private}.aside`];
    for (const directory of [to, aside]) mkdirSync(directory);
    system('mount', '--bind', hold.private, aside);
    await publish({ from: hold.private, to, signal: deadline() });
    expect(hold.home.mounts()).toEqual([hold.private, hold.public, to]);
    expect(readdirSync(hold.home.path)).not.toContain('private.aside');
  });
});

describe('stale mounts', () => {
  let home: Home;
  const ours = () => ({ subtype: 'lapse', signal: deadline() });

  beforeEach((context) => {
    home = new Home('place');
    context.onTestFinished(() => home[Symbol.dispose]());
  });

  async function leaveStale(): Promise<void> {
    closeSync(await mount({ directory: home.at('place'), fsname: 'dead', ...ours() }));
  }

  it('are all taken away, one upon the other', async () => {
    await leaveStale();
    await leaveStale();
    expect(home.mounts()).toHaveLength(2);
    await clearStale(home.at('place'), ours());
    expect(home.mounts()).toEqual([]);
  });

  it('are taken away as far as they are ours', async () => {
    system('mount', '-t', 'tmpfs', 'none', home.at('place'));
    writeFileSync(home.at('place/kept'), '');
    await leaveStale();
    await expect(clearStale(home.at('place'), ours())).rejects.toMatchObject({ code: 'mount-foreign' });
    expect(readdirSync(home.at('place'))).toEqual(['kept']);
  });

  it('are cleared where a public place was left, too', async () => {
    await using hold = await Hold.start();
    // Neither the holder nor the server can do anything any more.
    hold.signalServer('SIGSTOP');
    hold.signalHolder('SIGKILL');
    hold.signalServer('SIGKILL');
    await hold.exited;
    expect(hold.home.mounts()).toEqual([hold.private, hold.public]);
    for (const place of [hold.public, hold.private]) await clearStale(place, ours());
    expect(hold.home.mounts()).toEqual([]);
    expect(spawnSync('ls', [hold.public], { encoding: 'utf8' }).stdout).toBe('');
  });
});
