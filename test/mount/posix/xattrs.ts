// Extended attributes.
import assert from 'node:assert/strict';
import { TAGS } from '../../support/fuse-posix-tree.ts';
import type { Row } from './row.ts';

const LISTED = [...TAGS.keys()];
const LIST_BYTES = LISTED.join(' ').length + 1;

export const XATTRS: readonly Row[] = [
  {
    name: 'an extended attribute is read by path and by descriptor',
    async run(mount) {
      const probe = await mount.probe();
      const tagged = await probe.opened(mount.at('tagged'));
      for (const [name, value] of TAGS) {
        const expected = `${value.length} ${value}`;
        assert.equal(await probe.ask('getxattr', mount.at('tagged'), name, 100), expected);
        assert.equal(await probe.ask('lgetxattr', mount.at('tagged'), name, 100), expected);
        assert.equal(await probe.ask('fgetxattr', tagged, name, 100), expected);
        assert.equal(await probe.ask('getxattr', mount.at('tagged'), name, value.length), expected);
      }
    },
  },
  {
    name: 'extended attributes are listed',
    async run(mount) {
      const probe = await mount.probe();
      const tagged = await probe.opened(mount.at('tagged'));
      const expected = `${LIST_BYTES} ${LISTED.join(' ')} `;
      assert.equal(await probe.ask('listxattr', mount.at('tagged'), 1000), expected);
      assert.equal(await probe.ask('flistxattr', tagged, LIST_BYTES), expected);
      for (const path of ['hello', 'deep', 'link'])
        assert.equal(await probe.ask('llistxattr', mount.at(path), 1000), '0 ', path);
    },
  },
  {
    name: 'a size of zero asks for the size',
    async run(mount) {
      const probe = await mount.probe();
      assert.equal(await probe.ask('getxattr', mount.at('tagged'), 'user.expires', 0), '20 ');
      assert.equal(await probe.ask('listxattr', mount.at('tagged'), 0), `${LIST_BYTES} `);
      assert.equal(await probe.ask('listxattr', mount.at('hello'), 0), '0 ');
    },
  },
  {
    name: 'a buffer that is too small is ERANGE',
    async run(mount) {
      const probe = await mount.probe();
      for (const size of [1, 19])
        assert.equal(await probe.ask('getxattr', mount.at('tagged'), 'user.expires', size), 'ERANGE');
      for (const size of [1, LIST_BYTES - 1])
        assert.equal(await probe.ask('listxattr', mount.at('tagged'), size), 'ERANGE');
    },
  },
  {
    name: 'an extended attribute that is not there is ENODATA',
    async run(mount) {
      const probe = await mount.probe();
      for (const name of ['user.nothing', 'user.versio', 'trusted.version', 'security.selinux'])
        assert.equal(await probe.ask('getxattr', mount.at('tagged'), name, 100), 'ENODATA', name);
      assert.equal(await probe.ask('getxattr', mount.at('hello'), 'user.version', 100), 'ENODATA');
      assert.equal(await probe.ask('getxattr', mount.at('deep'), 'user.version', 0), 'ENODATA');
      assert.equal(await probe.ask('getxattr', mount.at('nothing'), 'user.version', 0), 'ENOENT');
    },
  },
  {
    name: 'there are no access control lists',
    async run(mount) {
      const probe = await mount.probe();
      for (const name of ['system.posix_acl_access', 'system.posix_acl_default']) {
        const answer = await probe.ask('getxattr', mount.at('deep'), name, 100);
        assert.ok(['ENODATA', 'EOPNOTSUPP'].includes(answer), answer);
      }
    },
  },
];
