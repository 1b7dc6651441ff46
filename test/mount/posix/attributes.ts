// What is told about nodes and about the file system.
import assert from 'node:assert/strict';
import { HUGE, MTIME, nodeAt, USER } from '../../support/fuse-posix-tree.ts';
import { entriesOf } from './listing.ts';
import type { Row } from './row.ts';

const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_STATX_FORCE_SYNC = 0x2000;
const AT_STATX_DONT_SYNC = 0x4000;

const PATHS = ['hello', 'empty', 'huge', 'deep', 'modes/user-0400', 'lasting/kept'] as const;

export const ATTRIBUTES: readonly Row[] = [
  {
    name: 'attributes are what the tree says',
    async run(mount) {
      const probe = await mount.probe();
      const time = `${MTIME}.000000000`;
      const rest = `of 4096 times ${time} ${time} ${time}`;
      const expected = {
        hello: `mode 100444 links 1 uid 0 gid 0 size 13 blocks 1 ${rest}`,
        page: `mode 100444 links 1 uid 0 gid 0 size 4096 blocks 8 ${rest}`,
        'page-and-one': `mode 100444 links 1 uid 0 gid 0 size 4097 blocks 9 ${rest}`,
        deep: `mode 40755 links 2 uid 0 gid 0 size 0 blocks 0 ${rest}`,
        link: `mode 120777 links 1 uid 0 gid 0 size 5 blocks 1 ${rest}`,
        'modes/user-0400': `mode 100400 links 1 uid ${USER} gid ${USER} size 0 blocks 0 ${rest}`,
      };
      for (const [path, attributes] of Object.entries(expected))
        assert.equal((await probe.ask('lstat', mount.at(path))).replace(/^ino \d+ /, ''), attributes, path);
    },
  },
  {
    name: 'a size beyond 32 bits is whole',
    async run(mount) {
      const probe = await mount.probe();
      assert.match(await probe.ask('stat', mount.at('huge')), new RegExp(` size ${HUGE} `));
    },
  },
  {
    name: 'stat, lstat, fstat and statx agree',
    async run(mount) {
      const probe = await mount.probe();
      for (const path of PATHS) {
        const reference = await probe.ask('stat', mount.at(path));
        const descriptor = await probe.opened(mount.at(path));
        assert.equal(await probe.ask('lstat', mount.at(path)), reference);
        assert.equal(await probe.ask('fstat', descriptor), reference);
        for (const flags of [0, AT_SYMLINK_NOFOLLOW, AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC]) {
          const extended = await probe.ask('statx', mount.at(path), flags, STATX_BASIC_STATS);
          assert.equal(extended, `${reference} mask 7ff`, `${path} with ${flags}`);
        }
      }
    },
  },
  {
    name: 'statx says that it knows no time of birth',
    async run(mount) {
      const probe = await mount.probe();
      for (const path of PATHS) {
        const plain = await probe.ask('statx', mount.at(path), 0, STATX_BASIC_STATS);
        assert.equal(await probe.ask('statx', mount.at(path), 0, STATX_BASIC_STATS | STATX_BTIME), plain);
      }
      assert.match(await probe.ask('statx', '/dev', 0, STATX_BTIME), /mask .*[8-f]..$/, 'devtmpfs knows one');
    },
  },
  {
    name: 'inode numbers are the node ids of the tree',
    async run(mount) {
      const probe = await mount.probe();
      for (const path of PATHS)
        assert.match(await probe.ask('stat', mount.at(path)), new RegExp(`^ino ${nodeAt(path).node} `));
    },
  },
  {
    name: 'a listing shows the inode numbers that stat shows',
    async run(mount) {
      const probe = await mount.probe();
      for (const { name, inode } of await entriesOf(probe, mount.at('names')))
        if (!name.startsWith('..'))
          assert.match(await probe.ask('stat', mount.at('names', name)), new RegExp(`^ino ${inode} `));
    },
  },
  {
    name: 'statfs names FUSE, pages and the length of names',
    async run(mount) {
      const probe = await mount.probe();
      for (const path of ['', 'hello', 'deep/er'])
        assert.equal(
          await probe.ask('statfs', mount.at(path)),
          'type 65735546 block 4096 name 255 blocks 0 files 0',
        );
    },
  },
];
