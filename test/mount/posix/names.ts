// Looking names up, and links.
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { LONG_NAMES, ODD_NAMES } from '../../support/fuse-posix-tree.ts';
import type { Row } from './row.ts';

const { O_DIRECTORY, O_NOFOLLOW } = constants;

export const NAMES: readonly Row[] = [
  {
    name: 'a name that is there is found, and any other is ENOENT',
    async run(mount) {
      const probe = await mount.probe();
      assert.match(await probe.ask('stat', mount.at('deep/er/file')), /mode 100444/);
      for (const name of ['nothing', 'deep/nothing', 'hell', 'hello2', 'Hello'])
        assert.equal(await probe.ask('stat', mount.at(name)), 'ENOENT', name);
    },
  },
  {
    name: 'names of 255 bytes and of any characters are found',
    async run(mount) {
      const probe = await mount.probe();
      for (const name of [...LONG_NAMES, ...ODD_NAMES])
        assert.match(await probe.ask('stat', mount.at('names', name)), /size 3 /, name);
      for (const name of ['u\u0308mlaut', 'UMLAUT'])
        assert.equal(await probe.ask('stat', mount.at('names', name)), 'ENOENT', 'no two spellings are one');
    },
  },
  {
    name: 'a name of 256 bytes is ENAMETOOLONG',
    async run(mount) {
      const probe = await mount.probe();
      assert.equal(await probe.ask('stat', mount.at('x'.repeat(256))), 'ENAMETOOLONG');
      assert.equal(await probe.ask('stat', mount.at('x'.repeat(255))), 'ENOENT');
    },
  },
  {
    name: 'a name that is not UTF-8 is ENOENT',
    async run(mount) {
      for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80]]) {
        const path = Buffer.concat([Buffer.from(mount.at('names/')), Buffer.from(bytes)]);
        await assert.rejects(lstat(path), { code: 'ENOENT' });
      }
    },
  },
  {
    name: 'a path through a file is ENOTDIR',
    async run(mount) {
      const probe = await mount.probe();
      for (const path of ['hello/below', 'hello/..', 'link/below'])
        assert.equal(await probe.ask('stat', `${mount.at()}/${path}`), 'ENOTDIR', path);
      assert.equal(await probe.ask('stat', `${mount.at('hello')}/`), 'ENOTDIR');
      assert.equal(await probe.open(mount.at('hello'), O_DIRECTORY), 'ENOTDIR');
      assert.equal(typeof (await probe.open(mount.at('deep'), O_DIRECTORY)), 'number');
    },
  },
  {
    name: 'a directory is opened, entered and left, but not read like a file',
    async run(mount) {
      const probe = await mount.probe();
      const deep = await probe.opened(mount.at('deep'));
      assert.equal(await probe.ask('read', 'pread', deep, 10, 0), 'EISDIR');
      assert.equal(typeof (await probe.sys('openat', deep, 'er/../er/file', 0)), 'number');
      assert.equal(await probe.sys('chdir', mount.at('deep/er')), 0);
      assert.equal(await probe.ask('readlink', '/proc/self/cwd', 4096), mount.at('deep/er'));
      assert.match(await probe.ask('stat', '../../hello'), /size 13 /);
      assert.equal(await probe.sys('chdir', mount.at('hello')), 'ENOTDIR');
    },
  },
  {
    name: 'links are read, followed, and not followed',
    async run(mount) {
      const probe = await mount.probe();
      assert.equal(await probe.ask('readlink', mount.at('link'), 4096), 'hello');
      assert.equal(await probe.ask('readlink', mount.at('link'), 3), 'hel');
      assert.equal(await probe.ask('readlink', mount.at('hello'), 4096), 'EINVAL');
      assert.match(await probe.ask('lstat', mount.at('link')), /mode 120777 .* size 5 /);
      assert.match(await probe.ask('stat', mount.at('link')), /mode 100444 .* size 13 /);
      assert.match(await probe.ask('stat', mount.at('deep-link')), /mode 100444 .* size 5 /);
      assert.equal(await probe.open(mount.at('link'), O_NOFOLLOW), 'ELOOP');
      assert.equal(typeof (await probe.open(mount.at('link'))), 'number');
    },
  },
  {
    name: 'a link to nowhere is ENOENT, and one to itself ELOOP',
    async run(mount) {
      const probe = await mount.probe();
      assert.equal(await probe.open(mount.at('dangling')), 'ENOENT');
      assert.equal(await probe.ask('readlink', mount.at('dangling'), 99), 'nowhere');
      assert.equal(await probe.open(mount.at('loop')), 'ELOOP');
    },
  },
  {
    name: 'O_PATH finds without opening',
    async run(mount) {
      const probe = await mount.probe();
      const O_PATH = 0o10000000;
      // What the rows before had open may be given back a moment later.
      const before = await mount.handlesSettle(0);
      assert.equal(before, 0);
      const found = await probe.opened(mount.at('hello'), O_PATH);
      assert.equal(await mount.send({ do: 'handles' }), before);
      assert.match(await probe.ask('fstat', found), /size 13 /);
      assert.equal(await probe.ask('read', 'pread', found, 10, 0), 'EBADF');
      const reopened = await probe.opened(`/proc/self/fd/${found}`);
      assert.match(await probe.ask('read', 'pread', reopened, 99, 0), /^13 /);
      assert.equal(await mount.send({ do: 'handles' }), before + 1);
    },
  },
];
