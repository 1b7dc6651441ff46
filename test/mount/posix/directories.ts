// Listing: whole and in parts, while entries come and go.
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { LONG_NAMES, MANY, ODD_NAMES } from '../../support/fuse-posix-tree.ts';
import { entriesOf, namesOf, page, rest } from './listing.ts';
import type { Row } from './row.ts';

const SEEK_SET = 0;
const DT_DIR = constants.S_IFDIR >> 12;
const DT_REG = constants.S_IFREG >> 12;
const DT_LNK = constants.S_IFLNK >> 12;
const DOTS = ['.', '..'];
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

export const DIRECTORIES: readonly Row[] = [
  {
    name: 'a listing has every entry once, with . and ..',
    async run(mount) {
      const probe = await mount.probe();
      assert.deepEqual(namesOf(await entriesOf(probe, mount.at('many'))), [...DOTS, ...MANY]);
      const names = [...DOTS, ...LONG_NAMES, ...ODD_NAMES].sort();
      assert.deepEqual(namesOf(await entriesOf(probe, mount.at('names'))), names);
      assert.deepEqual(namesOf(await entriesOf(probe, mount.at('changing'))), DOTS, 'an empty directory');
    },
  },
  {
    name: 'a listing tells files, directories and links apart',
    async run(mount) {
      const probe = await mount.probe();
      const types = new Map((await entriesOf(probe, mount.at())).map(({ name, type }) => [name, type]));
      const some = ['.', '..', 'deep', 'hello', 'link'].map((name) => types.get(name));
      assert.deepEqual(some, [DT_DIR, DT_DIR, DT_DIR, DT_REG, DT_LNK]);
    },
  },
  {
    name: 'a listing in tiny parts is the same listing',
    async run(mount) {
      const probe = await mount.probe();
      assert.deepEqual(namesOf(await entriesOf(probe, mount.at('many'), 40)), [...DOTS, ...MANY]);
      const names = [...DOTS, ...LONG_NAMES, ...ODD_NAMES].sort();
      assert.deepEqual(namesOf(await entriesOf(probe, mount.at('names'), 280)), names);
      const many = await probe.opened(mount.at('many'));
      assert.equal(await probe.ask('getdents', many, 20), 'EINVAL', 'no room for one');
    },
  },
  {
    name: 'seekdir goes back to what telldir told',
    async run(mount) {
      const probe = await mount.probe();
      const many = await probe.opened(mount.at('many'));
      const all = await rest(probe, many, 4096);
      assert.equal(all.length, 1002);
      for (const index of [0, 1, 2, 500, 1000]) {
        assert.equal(
          await probe.sys('lseek', many, BigInt(all[index]!.offset), SEEK_SET),
          Number(all[index]!.offset),
        );
        const [next] = await page(probe, many, 4096);
        assert.equal(next?.name, all[index + 1]!.name);
      }
      await probe.sys('lseek', many, BigInt(all.at(-1)!.offset), SEEK_SET);
      assert.deepEqual(await page(probe, many, 4096), []);
    },
  },
  {
    name: 'seeking where no entry is ends the listing or goes on somewhere, and does no harm',
    async run(mount) {
      const probe = await mount.probe();
      const many = await probe.opened(mount.at('many'));
      for (const offset of [1n << 31n, 1n << 40n, 1n << 52n, (1n << 63n) - 1n]) {
        await probe.sys('lseek', many, offset, SEEK_SET);
        assert.match(await probe.ask('getdents', many, 4096), /^$|^\d|^EINVAL$/);
      }
      await probe.sys('lseek', many, 0, SEEK_SET);
      assert.equal((await rest(probe, many, 4096)).length, 1002);
    },
  },
  {
    name: 'while entries come and go, those that stay are listed once',
    async run(mount) {
      const probe = await mount.probe();
      mount.setChanging(numbers(100, 500));
      const changing = await probe.opened(mount.at('changing'));
      const seen = await page(probe, changing, 2000);
      assert.ok(seen.length > 10 && seen.length < 200, 'one part of several');
      const gone = seen.slice(3, 6).map(({ name }) => name);
      const staying = numbers(100, 500).filter((name) => !gone.includes(String(name)) && name % 7 !== 0);
      mount.setChanging([...staying, ...numbers(0, 50), ...numbers(600, 650)]);
      const names = [...seen, ...(await rest(probe, changing, 300))].map(({ name }) => name);
      assert.equal(new Set(names).size, names.length, 'no name twice');
      const missing = staying.filter((name) => !names.includes(String(name)));
      assert.deepEqual(missing, [], 'no name left out');
    },
  },
  {
    name: 'a rewound listing shows what is there by now',
    async run(mount) {
      const probe = await mount.probe();
      mount.setChanging(numbers(0, 5));
      const changing = await probe.opened(mount.at('changing'));
      assert.equal((await rest(probe, changing, 4096)).length, 7);
      mount.setChanging(numbers(3, 13));
      await probe.sys('lseek', changing, 0, SEEK_SET);
      const names = namesOf(await rest(probe, changing, 4096));
      assert.deepEqual(names, [...DOTS, ...numbers(3, 13).map(String)].sort());
    },
  },
  {
    name: 'two descriptors of a directory do not disturb each other',
    async run(mount) {
      const probe = await mount.probe();
      const [first, second] = [await probe.opened(mount.at('many')), await probe.opened(mount.at('many'))];
      const started = await page(probe, first, 1000);
      assert.equal((await rest(probe, second, 4096)).length, 1002);
      assert.equal(started.length + (await rest(probe, first, 4096)).length, 1002);
    },
  },
  {
    name: 'what a listing brings is what stat says',
    async run(mount) {
      const probe = await mount.probe();
      // Asking for each after a listing makes the kernel ask for attributes along with the next one.
      for (let round = 0; round < 3; round += 1) {
        for (const { name, type } of await entriesOf(probe, mount.at('lasting'))) {
          const mode = Number.parseInt(
            /mode (\d+)/.exec(await probe.ask('lstat', mount.at('lasting', name)))![1]!,
            8,
          );
          assert.equal(mode >> 12, type, name);
        }
      }
      const before = await probe.ask('stat', mount.at('lasting/kept'));
      await probe.sys('close', await probe.opened(mount.at('lasting')));
      assert.equal(await probe.ask('stat', mount.at('lasting/kept')), before);
    },
  },
  {
    name: 'five thousand directories can be open',
    async run(mount) {
      const probe = await mount.probe();
      assert.equal(await probe.ask('hold', 5000, mount.at('deep')), '5000');
      assert.equal((await entriesOf(probe, mount.at('many'))).length, 1002);
    },
  },
];
