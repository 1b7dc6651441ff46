// Every way of changing something, by root: it is always EROFS, whoever shows the mount, and nothing has changed.
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PosixMount } from '../../support/fuse-posix-mount.ts';
import { AT_FDCWD } from '../../support/fuse-posix-probe.ts';
import type { Probe } from '../../support/fuse-posix-probe.ts';
import { USER } from '../../support/fuse-posix-tree.ts';
import { entriesOf, namesOf } from './listing.ts';
import type { Row } from './row.ts';

const { O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDWR, O_TRUNC, O_WRONLY } = constants;
const { S_IFCHR, S_IFIFO, S_IFREG, S_IFSOCK } = constants;
const O_TMPFILE = 0o20000000 | O_DIRECTORY;
const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_NOFOLLOW = 0x100;
const RENAME = { NOREPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 } as const;

type Attempt = (probe: Probe, at: (name: string) => string) => Promise<number | string>;

const opens =
  (name: string, flags: number): Attempt =>
  (probe, at) =>
    probe.open(at(name), flags, 0o600);
const sys =
  (name: string, ...parameters: readonly (string | number)[]): Attempt =>
  // What begins with a slash is meant from the mount.
  (probe, at) =>
    probe.sys(name, ...parameters.map((one) => (typeof one === 'string' && one[0] === '/' ? at(one) : one)));

const WAYS: Readonly<Record<string, readonly Attempt[]>> = {
  'open for writing': [opens('hello', O_WRONLY), opens('hello', O_RDWR), opens('hello', O_WRONLY | O_APPEND)],
  'open with O_TRUNC': [opens('hello', O_TRUNC), opens('hello', O_WRONLY | O_TRUNC)],
  'open with O_CREAT': [opens('new', O_CREAT), opens('new', O_CREAT | O_WRONLY | O_EXCL)],
  O_TMPFILE: [opens('', O_TMPFILE | O_RDWR), opens('deep', O_TMPFILE | O_WRONLY)],
  truncate: [sys('truncate', '/hello', 0), sys('truncate', '/hello', 13), sys('truncate', '/hello', 1000)],
  unlink: [sys('unlinkat', AT_FDCWD, '/hello', 0), sys('unlinkat', AT_FDCWD, '/link', 0)],
  rmdir: [sys('unlinkat', AT_FDCWD, '/changing', AT_REMOVEDIR)],
  rename: [0, RENAME.NOREPLACE, RENAME.WHITEOUT].map((flags) =>
    sys('renameat2', AT_FDCWD, '/hello', AT_FDCWD, '/new', flags),
  ),
  'rename over something': [
    sys('renameat2', AT_FDCWD, '/hello', AT_FDCWD, '/page', 0),
    sys('renameat2', AT_FDCWD, '/hello', AT_FDCWD, '/page', RENAME.EXCHANGE),
    sys('renameat2', AT_FDCWD, '/hello', AT_FDCWD, '/deep/er/file', 0),
  ],
  link: [sys('linkat', AT_FDCWD, '/hello', AT_FDCWD, '/new', 0)],
  symlink: [sys('symlinkat', 'target', AT_FDCWD, '/new')],
  mkdir: [sys('mkdirat', AT_FDCWD, '/new', 0o755)],
  mknod: [S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR].map((type) =>
    sys('mknodat', AT_FDCWD, '/new', type | 0o600, 0x103),
  ),
  'bind of a socket': [(probe, at) => probe.ask('bind', at('new'))],
  chmod: [sys('fchmodat', AT_FDCWD, '/hello', 0o777), sys('fchmodat', AT_FDCWD, '/deep', 0)],
  chown: [
    sys('fchownat', AT_FDCWD, '/hello', USER, USER, 0),
    sys('fchownat', AT_FDCWD, '/link', USER, USER, AT_SYMLINK_NOFOLLOW),
  ],
  utimes: [sys('utimensat', AT_FDCWD, '/hello', 0, 0), sys('utimensat', AT_FDCWD, '/deep', 0, 0)],
  setxattr: [
    sys('setxattr', '/hello', 'user.new', 'x', 1, 0),
    sys('setxattr', '/tagged', 'user.version', 'x', 1, 0),
    sys('lsetxattr', '/link', 'trusted.new', 'x', 1, 0),
  ],
  removexattr: [sys('removexattr', '/tagged', 'user.version'), sys('removexattr', '/hello', 'user.new')],
};

async function state(mount: PosixMount, probe: Probe): Promise<string> {
  const paths = ['hello', 'page', 'link', 'deep', 'deep/er/file', 'tagged'];
  const stats = await Promise.all(
    paths.map((path) => mount.at(path)).map((path) => probe.ask('lstat', path)),
  );
  const names = namesOf(await entriesOf(probe, mount.at()));
  return [...stats, names, await probe.ask('getxattr', mount.at('tagged'), 'user.version', 9)].join('\n');
}

/** What the attempts mean, where they are granted. */
async function writableCopy(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lapse-posix-'));
  for (const name of ['deep', 'deep/er', 'changing']) await mkdir(join(directory, name));
  for (const name of ['hello', 'page', 'tagged', 'deep/er/file']) await writeFile(join(directory, name), 'x');
  await symlink('hello', join(directory, 'link'));
  return directory;
}

export const WRITING: readonly Row[] = [
  ...Object.entries(WAYS).map(([way, attempts]): Row => ({
    name: `${way} is EROFS`,
    async run(mount) {
      const probe = await mount.probe();
      const before = await state(mount, probe);
      for (const place of mount.places)
        for (const [index, attempt] of attempts.entries())
          assert.equal(
            await attempt(probe, (name) => join(place, name)),
            'EROFS',
            `attempt ${index} in ${place}`,
          );
      assert.equal(await state(mount, probe), before);
    },
  })),
  {
    name: 'elsewhere the same attempts succeed',
    async run(mount) {
      // The control of the rows above: a writable file system grants each way at least once.
      const probe = await mount.probe();
      for (const [way, attempts] of Object.entries(WAYS)) {
        const answers = [];
        for (const attempt of attempts) {
          const copy = await writableCopy();
          await probe.sys('setxattr', join(copy, 'tagged'), 'user.version', '7', 1, 0);
          answers.push(await attempt(probe, (name) => join(copy, name)));
          await rm(copy, { recursive: true });
        }
        assert.ok(
          answers.some((answer) => !/^E/.test(String(answer))),
          `${way}: ${answers.join(', ')}`,
        );
      }
    },
  },
  {
    name: 'a descriptor for reading cannot write, truncate or allocate',
    async run(mount) {
      const probe = await mount.probe();
      const hello = await probe.opened(mount.at('hello'));
      assert.equal(await probe.sys('write', hello, 'x', 1), 'EBADF');
      assert.equal(await probe.sys('ftruncate', hello, 0), 'EINVAL');
      assert.equal(await probe.sys('fallocate', hello, 0, 0, 100), 'EBADF');
      assert.equal(await probe.sys('fchmod', hello, 0o777), 'EROFS');
      assert.equal(await probe.sys('fchown', hello, USER, USER), 'EROFS');
    },
  },
  {
    name: 'nobody else may write either',
    async run(mount) {
      const probe = await mount.probe();
      assert.equal(await probe.ask('become', USER, USER), '0');
      for (const place of mount.places)
        for (const [way, attempts] of Object.entries(WAYS))
          for (const attempt of attempts) {
            const answer = await attempt(probe, (name) => join(place, name));
            assert.ok(['EROFS', 'EACCES', 'EPERM'].includes(String(answer)), `${way}: ${answer}`);
          }
    },
  },
];
