// Reading: every way, at every place.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digest } from '../../support/fuse-posix-probe.ts';
import { content, HUGE, SIZES } from '../../support/fuse-posix-tree.ts';
import type { Row } from './row.ts';

const { O_DIRECT, O_DSYNC, O_NOATIME, O_NONBLOCK, O_SYNC } = constants;
const SEEK = { SET: 0, CUR: 1, END: 2, DATA: 3, HOLE: 4 } as const;
const BIG = content(0, SIZES.big);
/** Around pages, the kernel's and the server's largest request, and the end. */
const PLACES = [0, 1, 4095, 4096, 4097, 131_071, 131_072, 131_073, 524_288, SIZES.big - 1, SIZES.big];
const LENGTHS = [1, 13, 4096, 131_072, 131_073, 1_000_000];

/** A read through a ring stays within the file here: what it does at the end has a row of its own. */
const byEveryPlace = (way: string, needs?: Row['needs']): Row => ({
  name: `${way} reads any part`,
  ...(needs && { needs }),
  async run(mount) {
    const probe = await mount.probe();
    const big = await probe.opened(mount.at('big'));
    for (const place of PLACES)
      for (const length of LENGTHS) {
        if (way.startsWith('io_uring') && place + length > SIZES.big) continue;
        const read = await probe.ask('read', way, big, length, place);
        assert.equal(read, digest(BIG.subarray(place, place + length)), `${length} at ${place}`);
      }
  },
});

/** Runs a tool to its end. */
async function output(program: string, ...parameters: string[]): Promise<string> {
  const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 20_000 });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  const [status] = (await once(child, 'close')) as [number | null];
  return `${text}${status ?? 'killed'}`;
}

export const READING: readonly Row[] = [
  ...['pread', 'read', 'readv', 'preadv', 'splice', 'sendfile'].map((way) => byEveryPlace(way)),
  byEveryPlace('io_uring', 'io_uring'),
  byEveryPlace('io_uring_fixed', 'io_uring'),
  byEveryPlace('aio', 'aio'),
  {
    name: 'io_uring reads no more than there is',
    needs: 'io_uring',
    async run(mount) {
      const probe = await mount.probe();
      for (const name of ['hello', 'page', 'page-and-one'] as const) {
        const file = await probe.opened(mount.at(name));
        assert.equal(
          await probe.ask('read', 'io_uring', file, 8192, 0),
          digest(content(0, SIZES[name])),
          name,
        );
      }
    },
  },
  {
    name: 'files of 0, 13, 4096 and 4097 bytes are read whole',
    async run(mount) {
      const probe = await mount.probe();
      for (const [name, size] of Object.entries(SIZES)) {
        const file = await probe.opened(mount.at(name));
        assert.equal(await probe.ask('read', 'pread', file, 2 << 20, 0), digest(content(0, size)), name);
      }
    },
  },
  {
    name: 'reading nothing, at the end and past it, brings nothing',
    async run(mount) {
      const probe = await mount.probe();
      const page = await probe.opened(mount.at('page'));
      assert.equal(await probe.ask('read', 'pread', page, 0, 0), digest(Buffer.alloc(0)));
      assert.equal(await probe.ask('read', 'pread', page, 10, 4091), digest(content(4091, 5)));
      const farAway = [4096, 4097, 2 ** 31, 2 ** 32, 2 ** 52, 2 ** 53 - 20];
      const beyondAll = [2n ** 53n, 2n ** 60n, 2n ** 63n - 11n];
      for (const offset of farAway)
        assert.equal(await probe.ask('read', 'pread', page, 10, offset), '0 00000000', `at ${offset}`);
      // No file can be so long, since a size is a safe integer: EINVAL is an answer there, too.
      for (const offset of beyondAll)
        assert.match(await probe.ask('read', 'pread', page, 10, String(offset)), /^(0 00000000|EINVAL)$/);
      assert.equal(await probe.ask('read', 'pread', page, 10, -1), 'EINVAL');
    },
  },
  {
    name: 'a huge file is read at 2^31, 2^32 and just below its end',
    async run(mount) {
      const probe = await mount.probe();
      const huge = await probe.opened(mount.at('huge'));
      for (const offset of [2 ** 31 - 5, 2 ** 31, 2 ** 32 - 5, 2 ** 32, 2 ** 40 + 1, HUGE - 100])
        assert.equal(
          await probe.ask('read', 'pread', huge, 99, offset),
          digest(content(offset, 99)),
          `at ${offset}`,
        );
      assert.equal(await probe.ask('read', 'pread', huge, 99, HUGE - 9), digest(content(HUGE - 9, 9)));
    },
  },
  {
    name: 'read goes on where the last one ended, and a duplicate shares the place',
    async run(mount) {
      const probe = await mount.probe();
      const big = await probe.opened(mount.at('big'));
      const duplicate = await probe.sys('dup', big);
      assert.equal(await probe.sys('lseek', big, 1000, SEEK.SET), 1000);
      await probe.ask('read', 'read', big, 500, 2000);
      assert.equal(await probe.sys('lseek', duplicate, 0, SEEK.CUR), 2500);
    },
  },
  {
    name: 'lseek finds begin, end, data and hole',
    async run(mount) {
      const probe = await mount.probe();
      const page = await probe.opened(mount.at('page'));
      const seek = (offset: number, whence: number) => probe.sys('lseek', page, offset, whence);
      assert.equal(await seek(7, SEEK.SET), 7);
      assert.equal(await seek(3, SEEK.CUR), 10);
      assert.equal(await seek(-4, SEEK.END), 4092);
      assert.equal(await seek(2 ** 40, SEEK.SET), 2 ** 40, 'past the end is a place, too');
      assert.equal(await seek(100, SEEK.DATA), 100);
      assert.equal(await seek(100, SEEK.HOLE), 4096, 'the end counts as one');
      assert.equal(await seek(4096, SEEK.DATA), 'ENXIO');
      assert.equal(await seek(4096, SEEK.HOLE), 'ENXIO');
      assert.equal(await seek(-1, SEEK.SET), 'EINVAL');
      assert.equal(await seek(0, 9), 'EINVAL');
    },
  },
  {
    name: 'copy_file_range brings the bytes or EXDEV, as between any two file systems',
    async run(mount) {
      const probe = await mount.probe();
      const page = await probe.opened(mount.at('page'));
      const read = await probe.ask('read', 'copy_file_range', page, 4096, 0);
      assert.ok(read === 'EXDEV' || read === digest(content(0, 4096)), read);
    },
  },
  {
    name: 'O_DIRECT, O_SYNC, O_NOATIME and O_NONBLOCK change nothing',
    async run(mount) {
      const probe = await mount.probe();
      for (const flags of [O_DIRECT, O_SYNC | O_DSYNC, O_NOATIME, O_NONBLOCK]) {
        const big = await probe.opened(mount.at('big'), flags);
        const read = await probe.ask('read', 'pread', big, 8192, 4096);
        assert.equal(read, digest(BIG.subarray(4096, 12_288)), `flags ${flags}`);
      }
    },
  },
  {
    name: 'readahead and advice are allowed',
    async run(mount) {
      const probe = await mount.probe();
      const big = await probe.opened(mount.at('big'));
      const POSIX_FADV = { SEQUENTIAL: 2, WILLNEED: 3, DONTNEED: 4 };
      assert.ok([0, 'EINVAL'].includes(await probe.sys('readahead', big, 0, 65_536)));
      for (const advice of Object.values(POSIX_FADV))
        assert.equal(await probe.sys('fadvise64', big, 0, 65_536, advice), 0);
      assert.equal(await probe.ask('read', 'pread', big, 65_536, 0), digest(BIG.subarray(0, 65_536)));
    },
  },
  {
    name: '64 parallel readers read what is there',
    async run(mount) {
      const directory = await mkdtemp(join(tmpdir(), 'lapse-posix-'));
      try {
        const reference = join(directory, 'reference');
        await writeFile(reference, BIG);
        const probe = await mount.probe();
        assert.equal(await probe.ask('parallel', 64, 20, mount.at('big'), reference), '64');
        await writeFile(reference, Buffer.from(BIG).fill(0x21, 100, 900_000));
        assert.equal(
          await probe.ask('parallel', 2, 20, mount.at('big'), reference),
          '0',
          'the check can fail',
        );
      } finally {
        await rm(directory, { recursive: true });
      }
    },
  },
  {
    name: 'cp, diff, tar and find see the tree',
    async run(mount) {
      const directory = await mkdtemp(join(tmpdir(), 'lapse-posix-'));
      try {
        for (const name of ['names', 'deep', 'many', 'big']) {
          const copy = join(directory, name);
          await cp(mount.at(name), copy, { recursive: true });
          assert.equal(await output('diff', '-r', mount.at(name), copy), '0', name);
        }
        await writeFile(join(directory, 'deep/er/file'), 'xxxxx');
        assert.match(await output('diff', '-r', mount.at('deep'), join(directory, 'deep')), /differ\n1$/);
        const listed = await output('tar', '--create', '--file=-', '-C', mount.at(), 'names', 'big');
        assert.ok(listed.length > SIZES.big && listed.endsWith('0'));
        const found = await output(
          'find',
          mount.at('deep'),
          mount.at('many'),
          '-type',
          'f',
          '-printf',
          '%f ',
        );
        assert.equal(found.split(' ').length, 1002);
      } finally {
        await rm(directory, { recursive: true });
      }
    },
  },
];
