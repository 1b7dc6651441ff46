// Who asks, what a server is left with, and how it ends.
import assert from 'node:assert/strict';
import { digest } from '../../support/fuse-posix-probe.ts';
import { content, SIZES, USER } from '../../support/fuse-posix-tree.ts';
import { page, rest } from './listing.ts';
import { MAP, PROT } from './mapping.ts';
import type { Row } from './row.ts';

const MEBIBYTE = 1 << 20;
/**
 * A heap that settles has a round that adds less than this; what is lost for each of the 10,000 openings of a round is lost
 * in every round.
 */
const GROWTH = 3 * MEBIBYTE;
const ROUNDS = 6;

export const LIFE: readonly Row[] = [
  {
    name: 'the tree learns which thread asks, and as whom',
    async run(mount) {
      const probe = await mount.probe();
      assert.equal(await probe.ask('cat', mount.at('caller')), `${probe.pid} 0 0`);
      const [thread, told] = (await probe.ask('thread-cat', mount.at('caller'))).split('\t');
      assert.notEqual(thread, String(probe.pid));
      assert.equal(told, `${thread} 0 0`);
      assert.equal(await probe.ask('become', USER, USER + 1), '0');
      assert.equal(await probe.ask('cat', mount.at('caller')), `${probe.pid} ${USER} ${USER + 1}`);
    },
  },
  {
    name: 'a link can differ by who reads it',
    async run(mount) {
      const probes = [await mount.probe(), await mount.probe()];
      for (const probe of [...probes, ...probes])
        assert.equal(await probe.ask('readlink', mount.at('who'), 99), String(probe.pid));
    },
  },
  {
    name: 'ten thousand openings leave nothing behind',
    async run(mount) {
      const probe = await mount.probe();
      const grows = async (spoil: () => Promise<unknown>) => {
        const bytes = mount.residentBytes();
        for (const path of ['hello', 'deep'])
          assert.equal(await probe.ask('storm', 5000, mount.at(path)), 'done');
        await spoil();
        return mount.residentBytes() - bytes > GROWTH;
      };
      const nothing = () => Promise.resolve();
      await grows(nothing);
      const descriptors = mount.descriptors();
      let rounds = 1;
      while (await grows(nothing)) assert.ok((rounds += 1) <= ROUNDS, 'it grows and grows');
      assert.equal(mount.descriptors(), descriptors);
      assert.equal(await mount.handlesSettle(0), 0);
      await probe.opened(mount.at('hello'));
      assert.equal(await mount.send({ do: 'handles' }), 1, 'the count can be another');
      const leak = () => mount.send({ do: 'leak', bytes: 64 * MEBIBYTE });
      assert.ok(await grows(leak), 'growth is seen');
    },
  },
  {
    name: 'when nobody serves any more, every call says so at once',
    ends: true,
    async run(mount) {
      const probe = await mount.probe();
      const held = await probe.opened(mount.at('page'));
      assert.match(await probe.ask('read', 'pread', held, 9, 0), /^9 /);
      mount.letGo();
      await mount.kill();
      for (const answer of [
        await probe.ask('read', 'pread', held, 9, 0),
        await probe.ask('stat', mount.at('hello')),
        await probe.open(mount.at('page')),
      ])
        assert.match(String(answer), /^(ENOTCONN|ECONNABORTED)$/);
      assert.match(String(await probe.sys('close', held)), /^(0|ENOTCONN|ECONNABORTED)$/);
    },
  },
  {
    name: 'the next server goes on where one was killed',
    ends: true,
    async run(mount) {
      const probe = await mount.probe();
      const waiting = await mount.probe();
      const [held, gate] = [await probe.opened(mount.at('big')), await waiting.opened(mount.at('gate'))];
      const map = await probe.ask('map', held, SIZES.big, PROT.READ, MAP.PRIVATE, 0);
      const many = await probe.opened(mount.at('many'));
      const listed = (await page(probe, many, 4096)).length;
      mount.shutGate(true);
      const reading = waiting.ask('read', 'pread', gate, 4096, 0);
      await mount.isWaitingAtGate();
      await mount.kill();
      mount.shutGate(false);
      const blocked = probe.ask('read', 'pread', held, 4096, 8192);
      await mount.serve();
      assert.equal(await blocked, digest(content(8192, 4096)), 'asked while nobody served');
      assert.equal(await reading, digest(content(0, 4096)), 'asked, and taken, before');
      assert.equal(await probe.ask('touch', map, 500_000, 4096), digest(content(500_000, 4096)));
      assert.equal(listed + (await rest(probe, many, 4096)).length, 1002, 'a listing goes on');
      assert.match(await probe.ask('stat', mount.at('hello')), /size 13 /);
    },
  },
];
