// Owners and modes, as any other file system keeps them.
import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import type { PosixMount } from '../../support/fuse-posix-mount.ts';
import { AT_FDCWD } from '../../support/fuse-posix-probe.ts';
import type { Probe } from '../../support/fuse-posix-probe.ts';
import { GROUP, USER } from '../../support/fuse-posix-tree.ts';
import { page } from './listing.ts';
import type { Row } from './row.ts';

const { F_OK, R_OK, W_OK, X_OK } = constants;
const AT_EACCESS = 0x200;
const STRANGER = 3000;

async function as(mount: PosixMount, uid: number, gid: number, ...groups: number[]): Promise<Probe> {
  const probe = await mount.probe();
  assert.equal(await probe.ask('become', uid, gid, ...groups), '0');
  return probe;
}

/** Which of the files in `modes` a probe can open. */
async function openable(mount: PosixMount, probe: Probe): Promise<string[]> {
  const names = [
    'root-0400',
    'root-0000',
    'user-0400',
    'user-0044',
    'group-0440',
    'second-group-0040',
    'other-0004',
  ];
  const opened = [];
  for (const name of names) {
    const answer = await probe.open(mount.at('modes', name));
    if (typeof answer === 'number') opened.push(name);
    else assert.equal(answer, 'EACCES', name);
  }
  return opened;
}

const access = (probe: Probe, path: string, mode: number, flags = 0) =>
  probe.sys('faccessat2', AT_FDCWD, path, mode, flags);

export const PERMISSIONS: readonly Row[] = [
  {
    name: 'the owner reads what the owner may, and not what only others may',
    async run(mount) {
      assert.deepEqual(await openable(mount, await as(mount, USER, STRANGER)), ['user-0400', 'other-0004']);
    },
  },
  {
    name: 'the group reads what the group may',
    async run(mount) {
      const probe = await as(mount, STRANGER, USER);
      assert.deepEqual(await openable(mount, probe), ['user-0044', 'group-0440', 'other-0004']);
    },
  },
  {
    name: 'a supplementary group counts as well',
    async run(mount) {
      const probe = await as(mount, STRANGER, STRANGER, 77, GROUP, USER);
      const expected = ['user-0044', 'group-0440', 'second-group-0040', 'other-0004'];
      assert.deepEqual(await openable(mount, probe), expected);
    },
  },
  {
    name: 'a stranger reads what all may',
    async run(mount) {
      const probe = await as(mount, STRANGER, STRANGER);
      assert.deepEqual(await openable(mount, probe), ['user-0044', 'other-0004']);
      assert.match(await probe.ask('cat', mount.at('caller')), /./);
    },
  },
  {
    name: 'root reads everything',
    async run(mount) {
      assert.equal((await openable(mount, await mount.probe())).length, 7);
    },
  },
  {
    name: 'root without CAP_DAC_OVERRIDE is bound like its owner',
    async run(mount) {
      const probe = await mount.probe();
      assert.equal(await probe.ask('drop-override'), '0');
      assert.deepEqual(await openable(mount, probe), ['root-0400', 'user-0044', 'group-0440']);
    },
  },
  {
    name: 'a directory without x lets nobody through',
    async run(mount) {
      const probe = await as(mount, STRANGER, STRANGER);
      const inside = (mode: string) => mount.at('modes', `directory-${mode}`, 'inside');
      for (const mode of ['700', '744', '750']) {
        assert.equal(await probe.ask('stat', inside(mode)), 'EACCES');
        assert.equal(await probe.open(inside(mode)), 'EACCES', mode);
        assert.equal(await probe.sys('chdir', mount.at('modes', `directory-${mode}`)), 'EACCES', mode);
        const absent = mount.at('modes', `directory-${mode}`, 'absent');
        assert.equal(await probe.ask('stat', absent), 'EACCES', 'nor tells what is not there');
      }
      assert.match(await probe.ask('stat', inside('711')), /size 0 /);
      const member = await as(mount, STRANGER, USER);
      assert.match(await member.ask('stat', inside('750')), /size 0 /);
      assert.match(await (await mount.probe()).ask('stat', inside('700')), /size 0 /);
    },
  },
  {
    name: 'a directory without r lets nobody list it',
    async run(mount) {
      const probe = await as(mount, STRANGER, STRANGER);
      for (const mode of ['700', '711', '750'])
        assert.equal(await probe.open(mount.at('modes', `directory-${mode}`)), 'EACCES');
      const listable = await probe.opened(mount.at('modes/directory-744'));
      assert.equal((await page(probe, listable, 4096)).length, 3);
    },
  },
  {
    name: 'access says what open and exec would',
    async run(mount) {
      const probe = await mount.probe();
      for (const place of mount.places) {
        assert.equal(await access(probe, `${place}/hello`, F_OK), 0);
        assert.equal(await access(probe, `${place}/hello`, R_OK), 0);
        assert.equal(await access(probe, `${place}/hello`, W_OK), 'EROFS');
        assert.equal(await access(probe, `${place}/deep`, W_OK), 'EROFS');
        assert.equal(await access(probe, `${place}/deep`, R_OK | X_OK), 0);
        assert.equal(await access(probe, `${place}/hello`, X_OK), 'EACCES');
        assert.equal(await access(probe, `${place}/nothing`, F_OK), 'ENOENT');
      }
      const user = await as(mount, USER, USER);
      for (const flags of [0, AT_EACCESS]) {
        assert.equal(await access(user, mount.at('modes/user-0400'), R_OK, flags), 0);
        assert.equal(await access(user, mount.at('modes/root-0400'), R_OK, flags), 'EACCES');
        assert.equal(await access(user, mount.at('modes/root-0400'), F_OK, flags), 0);
        assert.equal(await access(user, mount.at('modes/directory-711'), X_OK, flags), 0);
        assert.equal(await access(user, mount.at('modes/directory-711'), R_OK, flags), 'EACCES');
      }
    },
  },
  {
    name: 'access goes by real ids, open by effective ones',
    async run(mount) {
      const probe = await mount.probe();
      const [unchanged, root] = [-1, 0];
      assert.equal(await probe.sys('setresuid', STRANGER, root, unchanged), 0);
      assert.equal(await access(probe, mount.at('modes/root-0400'), R_OK), 'EACCES');
      assert.equal(await access(probe, mount.at('modes/user-0044'), R_OK), 0);
      assert.equal(typeof (await probe.open(mount.at('modes/root-0400'))), 'number');
    },
  },
  {
    name: 'io_uring opens what a supplementary group may read',
    needs: 'io_uring',
    async run(mount) {
      const probe = await as(mount, STRANGER, STRANGER, GROUP);
      assert.equal(await probe.ask('ring-open', mount.at('modes/user-0400')), 'EACCES');
      assert.match(await probe.ask('ring-open', mount.at('modes/user-0044')), /^\d+$/);
      assert.match(await probe.ask('ring-open', mount.at('modes/second-group-0040')), /^\d+$/);
    },
  },
  {
    name: 'what may not be read may not be watched',
    async run(mount) {
      const probe = await as(mount, USER, USER);
      const IN_OPEN = 0x20;
      assert.equal(await probe.ask('watch', mount.at('modes/user-0400'), IN_OPEN), '1');
      assert.equal(await probe.ask('watch', mount.at('modes/root-0400'), IN_OPEN), 'EACCES');
    },
  },
  {
    name: 'nothing can be executed',
    async run(mount) {
      const probe = await mount.probe();
      for (const place of mount.places)
        assert.equal(await probe.sys('execve', `${place}/hello`, 0, 0), 'EACCES');
    },
  },
  {
    name: 'what was opened stays readable after giving up root',
    async run(mount) {
      const probe = await mount.probe();
      const file = await probe.opened(mount.at('modes/root-0400'));
      const key = await probe.opened(mount.at('caller'));
      assert.equal(await probe.ask('become', STRANGER, STRANGER), '0');
      assert.equal(await probe.ask('read', 'pread', file, 10, 0), '0 00000000');
      assert.match(await probe.ask('read', 'pread', key, 99, 0), /^[1-9]/);
      assert.equal(await probe.open(mount.at('modes/root-0400')), 'EACCES', 'but is not opened again');
    },
  },
];
