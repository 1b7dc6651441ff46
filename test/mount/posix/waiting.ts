// Locks, readiness, watches, and the calls that a file has no answer to.
import assert from 'node:assert/strict';
import { digest } from '../../support/fuse-posix-probe.ts';
import { content } from '../../support/fuse-posix-tree.ts';
import { until } from '../../support/fuse-posix-mount.ts';
import type { Row } from './row.ts';

const LOCK = { SH: 1, EX: 2, UN: 8, NB: 4 } as const;
const F = { SETLK: 6, RDLCK: 0, WRLCK: 1, UNLCK: 2, OFD_SETLK: 37 } as const;
const POLLIN = 1;
const FIONREAD = 0x541b;
const TCGETS = 0x5401;
const FS_IOC_GETFLAGS = 0x80086601;
const IN = { ACCESS: 1, MODIFY: 2, CLOSE_WRITE: 8, CLOSE_NOWRITE: 0x10, OPEN: 0x20 } as const;
const IN_NAMES = { CREATE: 0x100, DELETE: 0x200, MOVED_TO: 0x80 } as const;
const bits = (flags: Readonly<Record<string, number>>) =>
  Object.values(flags).reduce((all, one) => all | one, 0);

export const WAITING: readonly Row[] = [
  {
    name: 'flock works among the processes of this machine',
    async run(mount) {
      const [first, second] = [await mount.probe(), await mount.probe()];
      const [held, asked] = [await first.opened(mount.at('hello')), await second.opened(mount.at('hello'))];
      assert.equal(await first.sys('flock', held, LOCK.EX | LOCK.NB), 0);
      assert.equal(await second.sys('flock', asked, LOCK.SH | LOCK.NB), 'EAGAIN');
      assert.equal(await first.sys('flock', held, LOCK.UN), 0);
      assert.equal(await second.sys('flock', asked, LOCK.SH | LOCK.NB), 0);
    },
  },
  {
    name: 'fcntl locks for reading work, for writing want a descriptor for writing',
    async run(mount) {
      const [first, second] = [await mount.probe(), await mount.probe()];
      const [held, asked] = [await first.opened(mount.at('hello')), await second.opened(mount.at('hello'))];
      for (const command of [F.SETLK, F.OFD_SETLK]) {
        assert.equal(await first.ask('lock', held, command, F.RDLCK), '0');
        assert.equal(await second.ask('lock', asked, command, F.RDLCK), '0');
        assert.equal(await second.ask('lock', asked, command, F.WRLCK), 'EBADF');
        assert.equal(await first.ask('lock', held, command, F.UNLCK), '0');
      }
    },
  },
  {
    name: 'poll, select and epoll say readable',
    async run(mount) {
      const probe = await mount.probe();
      const hello = await probe.opened(mount.at('hello'));
      assert.equal(Number(await probe.ask('poll', hello)) & POLLIN, POLLIN);
      assert.equal(await probe.ask('select', hello), '1');
      const answer = await probe.ask('epoll', hello);
      assert.ok(answer === 'EPERM' || (Number(answer) & POLLIN) !== 0, answer);
    },
  },
  {
    name: 'ioctl is ENOTTY',
    async run(mount) {
      const probe = await mount.probe();
      const hello = await probe.opened(mount.at('hello'));
      for (const request of [TCGETS, FS_IOC_GETFLAGS, 0x4004_1234])
        assert.equal(
          await probe.sys('ioctl', hello, request, 'a place for an answer'),
          'ENOTTY',
          request.toString(16),
        );
      assert.match(await probe.ask('read', 'pread', hello, 99, 0), /^13 /);
      assert.equal(
        await probe.sys('ioctl', hello, FIONREAD, 'a place for an answer'),
        0,
        'the kernel knows how much is left',
      );
    },
  },
  {
    name: 'fsync, fdatasync and syncfs have nothing to do',
    async run(mount) {
      const probe = await mount.probe();
      for (const path of ['hello', 'deep']) {
        const descriptor = await probe.opened(mount.at(path));
        for (const call of ['fsync', 'fdatasync', 'syncfs', 'close'])
          assert.equal(await probe.sys(call, descriptor), 0, `${call} of ${path}`);
      }
    },
  },
  {
    name: 'a watch can be added, and tells of openings',
    async run(mount) {
      const probe = await mount.probe();
      assert.equal(await probe.ask('watch', mount.at('deep/er'), bits(IN)), '1');
      assert.equal(await probe.ask('watch', mount.at('deep/er/file'), bits(IN)), '2');
      await probe.ask('cat', mount.at('deep/er/file'));
      const heard = (await probe.ask('heard')).split('\t');
      for (const event of ['1/20/file', '1/1/file', '1/10/file', '2/20/', '2/1/', '2/10/'])
        assert.ok(heard.includes(event), `${event} in ${heard.join(', ')}`);
    },
  },
  {
    name: 'a watch tells of the changes that the server makes',
    async run(mount) {
      const probe = await mount.probe();
      for (const place of mount.places)
        await probe.ask(
          'watch',
          `${place}/changing`,
          bits({ ...IN_NAMES, MODIFY: IN.MODIFY, CLOSE: IN.CLOSE_WRITE }),
        );
      await mount.send({ do: 'announce' });
      const heard = (await probe.ask('heard')).split('\t');
      assert.deepEqual(heard, ['1/100/901', '1/8/901', '1/2/901', '1/8/901', '1/80/902', '1/200/902']);
    },
  },
  {
    name: 'a reader that is killed while it waits leaves the server well',
    async run(mount) {
      const [victim, other] = [await mount.probe(), await mount.probe()];
      const gate = await victim.opened(mount.at('gate'));
      mount.shutGate(true);
      void victim.ask('read', 'pread', gate, 4096, 0);
      // The server has the request: killed now, the reader stays until the answer comes.
      await mount.isWaitingAtGate();
      const killed = victim.kill();
      const next = other.opened(mount.at('hello'));
      mount.shutGate(false);
      await killed;
      assert.match(await other.ask('read', 'pread', await next, 99, 0), /^13 /);
      assert.equal(await mount.handlesSettle(1), 1, 'what the victim had open was given back');
    },
  },
  {
    name: 'a reader whose request was not taken yet can be killed, too',
    async run(mount) {
      const [victim, other] = [await mount.probe(), await mount.probe()];
      const big = await victim.opened(mount.at('big'));
      await until(() => victim.systemCall() !== 'running');
      const idle = victim.systemCall();
      const hello = await other.opened(mount.at('hello'));
      await mount.pause();
      void victim.ask('read', 'pread', big, 4096, 0);
      await until(() => victim.systemCall() !== idle && victim.systemCall() !== 'running');
      await victim.kill();
      const waiting = other.ask('read', 'pread', hello, 13, 0);
      mount.proceed();
      assert.equal(await waiting, digest(content(0, 13)));
      assert.equal(await mount.handlesSettle(1), 1);
    },
  },
];
