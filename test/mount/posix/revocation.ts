// What a tree takes back is gone, by every way.
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { digest } from '../../support/fuse-posix-probe.ts';
import { content } from '../../support/fuse-posix-tree.ts';
import { page, rest } from './listing.ts';
import { MAP, PROT } from './mapping.ts';
import type { Row } from './row.ts';

const PAGE = digest(content(0, 4096));
/** An engine that knows nodes says that this one may not be had, one that knows paths that there is nothing. */
const REFUSED = /^(EACCES|ENOENT)$/;
const O_PATH = 0o10000000;

/** Ways that ask for every byte. */
const dead = (way: string, needs?: Row['needs']): Row => ({
  name: `a held descriptor is EACCES by ${way} when the tree denies`,
  ...(needs && { needs }),
  async run(mount) {
    const probe = await mount.probe();
    const held = await probe.opened(mount.at('page'), way === 'O_DIRECT' ? constants.O_DIRECT : 0);
    const call = way === 'O_DIRECT' ? 'pread' : way;
    assert.equal(await probe.ask('read', call, held, 4096, 0), PAGE);
    mount.deny('page');
    assert.equal(await probe.ask('read', call, held, 4096, 0), 'EACCES');
  },
});

/** Ways that go through the page cache, like a mapping, even of a file that is opened for direct I/O. */
const deadPages = (way: string): Row => ({
  name: `a held descriptor is EACCES by ${way} when the tree denies and its pages are withdrawn`,
  async run(mount) {
    const probe = await mount.probe();
    const held = await probe.opened(mount.at('page'));
    assert.equal(await probe.ask('read', way, held, 4096, 0), PAGE);
    mount.deny('page');
    await mount.send({ do: 'withdraw', path: 'page' });
    assert.equal(await probe.ask('read', way, held, 4096, 0), 'EACCES');
  },
});

const deadFresh = (way: string): Row => ({
  name: `a held descriptor is EACCES by ${way} of a page that nobody read, when the tree denies`,
  async run(mount) {
    const probe = await mount.probe();
    const held = await probe.opened(mount.at('big'));
    assert.equal(await probe.ask('read', way, held, 4096, 0), PAGE);
    mount.deny('big');
    assert.equal(await probe.ask('read', way, held, 4096, 524_288), 'EACCES');
  },
});

export const REVOCATION: readonly Row[] = [
  ...['pread', 'read', 'readv', 'preadv', 'O_DIRECT'].map((way) => dead(way)),
  dead('io_uring', 'io_uring'),
  dead('io_uring_fixed', 'io_uring'),
  dead('aio', 'aio'),
  ...['splice', 'sendfile'].flatMap((way) => [deadPages(way), deadFresh(way)]),
  {
    name: 'what is denied cannot be opened again, by whatever leads to it',
    async run(mount) {
      const probe = await mount.probe();
      const held = await probe.opened(mount.at('page'));
      const path = await probe.opened(mount.at('page'), O_PATH);
      assert.equal(typeof (await probe.open(`/proc/self/fd/${held}`)), 'number');
      assert.equal(typeof (await probe.open(`/proc/self/fd/${path}`)), 'number');
      mount.deny('page');
      assert.match(String(await probe.open(`/proc/self/fd/${held}`)), REFUSED);
      assert.match(String(await probe.open(`/proc/self/fd/${path}`)), REFUSED);
      assert.equal(await probe.open(mount.at('page')), 'ENOENT');
    },
  },
  {
    name: 'a file handle opens nothing that is denied',
    async run(mount) {
      const probe = await mount.probe();
      const directory = await probe.opened(mount.at());
      const held = await probe.opened(mount.at('page'));
      assert.equal(await probe.ask('handle', mount.at('page')), '0');
      const opened = await probe.ask('open-handle', directory);
      assert.equal(await probe.ask('read', 'pread', opened, 4096, 0), PAGE);
      mount.deny('page');
      assert.match(await probe.ask('open-handle', directory), /^(EACCES|ENOENT|ESTALE)$/);
      assert.equal(await probe.ask('read', 'pread', held, 4096, 0), 'EACCES');
    },
  },
  {
    name: 'a denied name is ENOENT and is not listed',
    async run(mount) {
      const probe = await mount.probe();
      const names = async () =>
        (await rest(probe, await probe.opened(mount.at()), 4096)).map(({ name }) => name);
      assert.ok((await names()).includes('page'));
      mount.deny('page');
      assert.equal(await probe.ask('stat', mount.at('page')), 'ENOENT');
      assert.ok(!(await names()).includes('page'));
    },
  },
  {
    name: 'a held directory tells no more when the tree denies',
    async run(mount) {
      const probe = await mount.probe();
      const many = await probe.opened(mount.at('many'));
      assert.ok((await page(probe, many, 1000)).length > 5);
      mount.deny('many');
      assert.equal(await probe.open(mount.at('many')), 'ENOENT');
      // One page may be with the kernel.
      await assert.rejects(rest(probe, many, 32_768), /EACCES/);
    },
  },
  {
    name: 'extended attributes are refused when the tree denies',
    async run(mount) {
      const probe = await mount.probe();
      const tagged = await probe.opened(mount.at('tagged'));
      assert.equal(await probe.ask('fgetxattr', tagged, 'user.version', 9), '1 7');
      mount.deny('tagged');
      assert.match(await probe.ask('fgetxattr', tagged, 'user.version', 9), REFUSED);
      assert.match(await probe.ask('flistxattr', tagged, 99), REFUSED);
    },
  },
  {
    name: 'a page that was never touched is SIGBUS when the tree denies',
    async run(mount) {
      const probe = await mount.probe();
      const big = await probe.opened(mount.at('big'));
      const map = await probe.ask('map', big, 1 << 20, PROT.READ, MAP.PRIVATE, 0);
      assert.equal(await probe.ask('touch', map, 0, 4096), PAGE);
      mount.deny('big');
      assert.equal(await probe.ask('touch', map, 900_000, 1), 'SIGBUS');
    },
  },
  {
    name: 'a page that was touched is SIGBUS when it is withdrawn',
    async run(mount) {
      const probe = await mount.probe();
      const file = await probe.opened(mount.at('page'));
      const maps = [];
      for (const flags of [0, MAP.POPULATE, MAP.LOCKED])
        maps.push(await probe.ask('map', file, 4096, PROT.READ, MAP.PRIVATE | flags, 0));
      for (const map of maps) assert.equal(await probe.ask('touch', map, 0, 4096), PAGE);
      mount.deny('page');
      await mount.send({ do: 'withdraw', path: 'page' });
      for (const map of maps) assert.equal(await probe.ask('touch', map, 0, 4096), 'SIGBUS');
    },
  },
  {
    name: 'a page that one has written to is a copy, and stays',
    async run(mount) {
      const probe = await mount.probe();
      const file = await probe.opened(mount.at('page'));
      const map = await probe.ask('map', file, 4096, PROT.READ | PROT.WRITE, MAP.PRIVATE, 0);
      assert.equal(await probe.ask('poke', map, 0), 'done');
      mount.deny('page');
      await mount.send({ do: 'withdraw', path: 'page' });
      assert.match(await probe.ask('touch', map, 0, 4096), /^4096 /);
    },
  },
  {
    name: 'a lasting name is gone when it is withdrawn',
    async run(mount) {
      const probe = await mount.probe();
      const kept = mount.at('lasting/kept');
      const held = await probe.opened(kept);
      assert.match(await probe.ask('stat', kept), /size 100 /);
      mount.deny('kept');
      await mount.send({ do: 'withdraw', path: 'lasting/kept' });
      assert.equal(await probe.ask('stat', kept), 'ENOENT');
      assert.equal(await probe.ask('readlink', `/proc/self/fd/${held}`, 4096), `${kept} (deleted)`);
    },
  },
];
