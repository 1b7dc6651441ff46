// Mapping files into memory.
import assert from 'node:assert/strict';
import { digest } from '../../support/fuse-posix-probe.ts';
import { content, SIZES } from '../../support/fuse-posix-tree.ts';
import type { Row } from './row.ts';

export const PROT = { READ: 1, WRITE: 2, EXEC: 4 } as const;
export const MAP = { SHARED: 1, PRIVATE: 2, SHARED_VALIDATE: 3, LOCKED: 0x2000, POPULATE: 0x8000 } as const;

export const MAPPING: readonly Row[] = [
  {
    name: 'a private mapping shows the whole content',
    async run(mount) {
      const probe = await mount.probe();
      const big = await probe.opened(mount.at('big'));
      for (const flags of [MAP.PRIVATE, MAP.PRIVATE | MAP.POPULATE]) {
        const map = await probe.ask('map', big, SIZES.big, PROT.READ, flags, 0);
        assert.equal(await probe.ask('touch', map, 0, SIZES.big), digest(content(0, SIZES.big)));
      }
      const part = await probe.ask('map', big, 8192, PROT.READ, MAP.PRIVATE, 65_536);
      assert.equal(await probe.ask('touch', part, 5, 8000), digest(content(65_541, 8000)));
    },
  },
  {
    name: 'behind the end of a file a mapping is zero to the end of the page, then SIGBUS',
    async run(mount) {
      const probe = await mount.probe();
      const hello = await probe.opened(mount.at('hello'));
      const map = await probe.ask('map', hello, 8192, PROT.READ, MAP.PRIVATE, 0);
      const expected = Buffer.concat([content(0, 13), Buffer.alloc(4096 - 13)]);
      assert.equal(await probe.ask('touch', map, 0, 4096), digest(expected));
      assert.equal(await probe.ask('touch', map, 4096, 1), 'SIGBUS');
    },
  },
  {
    name: 'a private mapping can be written to, for oneself',
    async run(mount) {
      const probe = await mount.probe();
      const page = await probe.opened(mount.at('page'));
      const map = await probe.ask('map', page, 4096, PROT.READ | PROT.WRITE, MAP.PRIVATE, 0);
      assert.equal(await probe.ask('poke', map, 9), 'done');
      const changed = content(0, 4096);
      changed[9] = 0x21;
      assert.equal(await probe.ask('touch', map, 0, 4096), digest(changed));
      assert.equal(await probe.ask('read', 'pread', page, 4096, 0), digest(content(0, 4096)));
      const other = await mount.probe();
      const others = await other.ask(
        'map',
        await other.opened(mount.at('page')),
        4096,
        PROT.READ,
        MAP.PRIVATE,
        0,
      );
      assert.equal(await other.ask('touch', others, 0, 4096), digest(content(0, 4096)));
    },
  },
  {
    name: 'a shared mapping is ENODEV',
    async run(mount) {
      const probe = await mount.probe();
      const page = await probe.opened(mount.at('page'));
      for (const flags of [MAP.SHARED, MAP.SHARED_VALIDATE])
        assert.equal(await probe.ask('map', page, 4096, PROT.READ, flags, 0), 'ENODEV');
    },
  },
];
