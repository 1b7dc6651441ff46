import { spawnSync } from 'node:child_process';
import { constants, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import {
  access,
  lstat,
  open,
  readdir,
  readFile,
  readlink,
  stat,
  statfs,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { clearStale, mount, unmount } from '../../fuse/mount.ts';
import { findMount } from '../../fuse/mountinfo.ts';
import { Companion, Mountpoint, ServerProcess } from '../support/fuse-server.ts';
import { BIG, HELLO, MANY, MTIME, NODE } from '../support/fuse-static-tree.ts';

// Maps the first page, says so, waits for a line, and says what touching it again brings.
const MAPPER = `
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
static sigjmp_buf back;
static void on_bus(int signal) { (void)signal; siglongjmp(back, 1); }
int main(int count, char **words) {
  int file = open(words[count - 1], O_RDONLY);
  volatile char *page = mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, 0);
  if (mmap(0, 4096, PROT_READ, MAP_SHARED, file, 0) != MAP_FAILED) puts("shared");
  else if (page != MAP_FAILED) printf("private %c\\n", page[0]);
  fflush(stdout);
  getchar();
  signal(SIGBUS, on_bus);
  if (sigsetjmp(back, 1)) puts("SIGBUS");
  else printf("readable %c\\n", page[0]);
  return 0;
}`;

/** For what is no claim. */
const PATIENCE = 20_000;
/** How long a stop may take, and what a machine that stands still meanwhile may add: a reader that hangs takes longer. */
const STOP_MS = 2000;
const STANDSTILL_MS = 2000;

const deadline = () => AbortSignal.timeout(PATIENCE);
const ours = () => ({ subtype: 'lapse', signal: deadline() });

let point: Mountpoint;
let server: ServerProcess;
const at = (...names: string[]) => join(point.path, ...names);

afterEach(async () => {
  await server.kill();
  point[Symbol.dispose]();
});

describe('the kernel engine', () => {
  const tools = mkdtempSync(join(tmpdir(), 'lapse-tools-'));
  const mapper = join(tools, 'mapper');

  beforeAll(() => {
    const { status, stderr } = spawnSync('gcc', ['-std=gnu11', '-x', 'c', '-o', mapper, '-'], {
      input: MAPPER,
      timeout: 30_000,
    });
    if (status !== 0) throw new Error(stderr.toString());
  });

  afterAll(() => rmSync(tools, { recursive: true }));

  beforeEach(async () => {
    point = new Mountpoint();
    server = await ServerProcess.start('kernel', point.path);
  });

  it('is mounted read-only under its own type', async () => {
    expect(await findMount(point.path)).toEqual({ type: 'fuse.lapse', source: 'engine-test' });
    expect(point.mounts()).toEqual(['fuse.lapse']);
  });

  it('shows attributes', async () => {
    const file = await stat(at('hello'));
    expect(file).toMatchObject({
      ino: NODE.hello,
      size: HELLO.length,
      mode: 0o100444,
      uid: 0,
      gid: 0,
      nlink: 1,
      mtimeMs: MTIME * 1000,
    });
    expect((await stat(at('many'))).isDirectory()).toBe(true);
    await expect(stat(at('nothing'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(stat(at('x'.repeat(256)))).rejects.toMatchObject({ code: 'ENAMETOOLONG' });
    expect((await statfs(point.path)).bsize).toBe(4096);
    await access(at('hello'), constants.R_OK);
  });

  it('lists 300 entries', async () => {
    expect(await readdir(at('many'))).toEqual(MANY);
    expect((await readdir(point.path)).sort()).toEqual(['big', 'hello', 'link', 'many']);
  });

  it('reads whole files, at offsets, and past the end', async () => {
    expect(await readFile(at('hello'))).toEqual(HELLO);
    expect((await readFile(at('big'))).equals(BIG)).toBe(true);
    await using file = await open(at('big'));
    const into = Buffer.alloc(300_000);
    expect((await file.read(into, 0, into.length, 12_345)).bytesRead).toBe(into.length);
    expect(into.equals(BIG.subarray(12_345, 312_345))).toBe(true);
    expect((await file.read(into, 0, into.length, BIG.length - 5)).bytesRead).toBe(5);
    expect((await file.read(into, 0, into.length, BIG.length + 5)).bytesRead).toBe(0);
  });

  it('follows links', async () => {
    expect(await readlink(at('link'))).toBe('hello');
    expect((await lstat(at('link'))).isSymbolicLink()).toBe(true);
    expect(await readFile(at('link'))).toEqual(HELLO);
  });

  it('refuses every write', async () => {
    const readOnly = { code: 'EROFS' };
    await expect(writeFile(at('hello'), 'x')).rejects.toMatchObject(readOnly);
    await expect(writeFile(at('new'), 'x')).rejects.toMatchObject(readOnly);
    await expect(unlink(at('hello'))).rejects.toMatchObject(readOnly);
    await expect(truncate(at('hello'), 0)).rejects.toMatchObject(readOnly);
  });

  it('takes a held descriptor back', async () => {
    await using file = await open(at('big'));
    const into = Buffer.alloc(4096);
    expect((await file.read(into, 0, 4096, 0)).bytesRead).toBe(4096);
    expect(await server.send({ do: 'deny' }), 'the barrier was answered').toBe(true);
    await expect(file.read(into, 0, 4096, 0)).rejects.toMatchObject({ code: 'EACCES' });
    await expect(open(`/proc/self/fd/${file.fd}`)).rejects.toMatchObject({ code: 'EACCES' });
  });

  it('takes a mapping back', async () => {
    await using reader = new Companion(mapper, [at('hello')]);
    expect(await reader.line(), 'MAP_SHARED is refused').toBe('private h');
    await server.send({ do: 'deny' });
    expect(await server.send({ do: 'invalidate-inode', node: NODE.hello }), 'pages were cached').toBe(true);
    reader.proceed();
    expect(await reader.line()).toBe('SIGBUS');
  });

  it('takes a name back', async () => {
    await using held = await open(at('hello'));
    await server.send({ do: 'deny' });
    const hello = { parent: NODE.root, name: 'hello' };
    expect(await server.send({ do: 'delete-entry', child: NODE.hello, ...hello })).toBe(true);
    await expect(stat(at('hello'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readlink(`/proc/self/fd/${held.fd}`)).toBe(`${at('hello')} (deleted)`);
  });

  it('tells what the kernel did not have', async () => {
    expect(await server.send({ do: 'invalidate-inode', node: NODE.big })).toBe(false);
    expect(await server.send({ do: 'invalidate-entry', parent: NODE.root, name: 'big' })).toBe(false);
    await stat(at('big'));
    expect(await server.send({ do: 'invalidate-entry', parent: NODE.root, name: 'big' })).toBe(true);
    expect(await server.send({ do: 'delete-entry', parent: NODE.root, child: NODE.hello, name: 'big' })).toBe(
      false,
    );
    await stat(at('many', 'entry-000'));
    await server.send({ do: 'delete-entry', parent: NODE.root, child: NODE.many, name: 'many' });
    expect(await readdir(at('many')), 'the tree decides, not the notification').toHaveLength(300);
  });

  it('stops within two seconds under readers, and leaves nothing', async () => {
    let reading = true;
    const errors = new Set<unknown>();
    const reads = Array.from({ length: 3 }, async () => {
      await using file = await open(at('big'));
      const into = Buffer.alloc(65_536);
      while (reading) {
        await file.read(into, 0, into.length, 0).catch((error: unknown) => {
          errors.add((error as NodeJS.ErrnoException).code);
          reading = false;
        });
      }
    });
    await readFile(at('hello'));
    const before = performance.now();
    await server.send({ do: 'stop' });
    await server.exited;
    expect(performance.now() - before).toBeLessThan(STOP_MS + STANDSTILL_MS);
    await Promise.all(reads);
    // The one kind for reads that were under way, the other for reads that came later.
    expect(['ECONNABORTED', 'ENOTCONN'], 'no reader hangs or sees an I/O error').toEqual(
      expect.arrayContaining([...errors]),
    );
    expect(errors.size).toBeGreaterThan(0);
    expect(point.mounts()).toEqual([]);
  });

  it('ends by itself when it is unmounted', async () => {
    await unmount(point.path, deadline());
    expect(await server.send({ do: 'wait' })).toBe('unmounted');
    expect(point.mounts()).toEqual([]);
  });

  it('can be detached while it hangs, and is not taken for dead', async () => {
    await server.pause();
    const soon = { subtype: 'lapse', signal: AbortSignal.timeout(500) };
    await expect(clearStale(point.path, soon)).rejects.toMatchObject({ code: 'deadline' });
    expect(point.mounts()).toEqual(['fuse.lapse']);
    await unmount(point.path, deadline());
    expect(point.mounts()).toEqual([]);
  });

  it('leaves a mount behind when it is killed, which is then cleared', async () => {
    await server.kill();
    await expect(stat(at('hello'))).rejects.toMatchObject({ code: 'ENOTCONN' });
    expect(point.mounts()).toEqual(['fuse.lapse']);
    await clearStale(point.path, ours());
    expect(point.mounts()).toEqual([]);
    await clearStale(point.path, ours());
  });

  it('is not cleared while it lives', async () => {
    await expect(clearStale(point.path, ours())).rejects.toMatchObject({ code: 'mount-in-use' });
    expect(await readFile(at('hello'))).toEqual(HELLO);
  });

  it('says why it could not mount or unmount', async () => {
    const nowhere = { directory: at('nowhere'), fsname: 'x', subtype: 'lapse', signal: deadline() };
    await expect(mount(nowhere)).rejects.toMatchObject({ code: 'mount-failed' });
    await expect(unmount(tools, deadline())).rejects.toMatchObject({ code: 'unmount-failed' });
  });

  it('never clears a foreign mount', async () => {
    const foreign = mkdtempSync(join(point.path, '..', 'lapse-engine-foreign-'));
    try {
      expect(spawnSync('mount', ['-t', 'tmpfs', 'none', foreign], { timeout: PATIENCE }).status).toBe(0);
      writeFileSync(join(foreign, 'kept'), '');
      await expect(clearStale(foreign, ours())).rejects.toMatchObject({ code: 'mount-foreign' });
      expect(await readdir(foreign)).toEqual(['kept']);
    } finally {
      spawnSync('umount', ['-l', foreign], { timeout: PATIENCE });
      rmSync(foreign, { recursive: true });
    }
  });
});

describe('the engine fuse-native', () => {
  beforeEach(async () => {
    point = new Mountpoint();
    server = await ServerProcess.start('fuse-native', point.path);
  });

  it('serves the same tree, and stops', async () => {
    expect(await findMount(point.path)).toEqual({ type: 'fuse.lapse', source: 'engine-test' });
    expect(await readFile(at('link'))).toEqual(HELLO);
    expect((await readFile(at('big'))).equals(BIG)).toBe(true);
    expect(await readdir(at('many'))).toEqual(MANY);
    await expect(writeFile(at('hello'), 'x')).rejects.toMatchObject({ code: 'EROFS' });
    await server.send({ do: 'stop' });
    await server.exited;
    expect(point.mounts()).toEqual([]);
  });

  it('asks again for a held descriptor', async () => {
    await using file = await open(at('hello'));
    const into = Buffer.alloc(64);
    expect((await file.read(into, 0, 64, 0)).bytesRead).toBe(HELLO.length);
    await server.send({ do: 'deny' });
    await expect(file.read(into, 0, 64, 0)).rejects.toMatchObject({ code: 'EACCES' });
    await expect(stat(at('hello'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('says what to install where it is missing', () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'lapse-tools-'));
    try {
      cpSync(new URL('../../fuse', import.meta.url), join(elsewhere, 'fuse'), { recursive: true });
      const program = `
        import { mountNative } from './fuse/engine/fuse-native.ts';
        await mountNative({ directory: '.', fsname: 'x', subtype: 'x' }).catch((error) => console.log(error.code, error.message));`;
      const options = { cwd: elsewhere, encoding: 'utf8', timeout: PATIENCE } as const;
      const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], options);
      expect(stdout).toMatch(/^engine-unavailable .*libfuse2/);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });
});
