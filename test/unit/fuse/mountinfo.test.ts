import { describe, expect, it } from 'vitest';
import { parseMountinfo, topmost } from '../../../fuse/mountinfo.ts';

const LIST = `22 1 252:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:25 / /run rw,nosuid shared:5 master:2 - tmpfs tmpfs rw,size=1k
41 30 0:40 / /run/lapse/fs ro,nosuid - fuse.lapse lapsed rw,user_id=0
42 41 0:41 / /run/lapse/fs rw - tmpfs none rw
43 22 0:42 / /mnt/with\\040space\\134and\\011tab rw - fuse.lapse odd\\040name rw
44 22 0:43 / /mnt/ünïcode rw - tmpfs none rw
`;

describe('the list of mounts', () => {
  const mounts = parseMountinfo(LIST);

  it('is read with and without optional fields', () => {
    expect(mounts).toHaveLength(6);
    expect(mounts[1]).toEqual({ id: 30, parent: 22, directory: '/run', type: 'tmpfs', source: 'tmpfs' });
  });

  it('has its octal escapes undone, and other bytes left alone', () => {
    expect(mounts[4]).toMatchObject({ directory: '/mnt/with space\\and\ttab', source: 'odd name' });
    expect(mounts[5]).toMatchObject({ directory: '/mnt/ünïcode' });
  });

  it('knows the topmost mount of a directory, in whatever order they are listed', () => {
    expect(topmost(mounts, '/run/lapse/fs')).toEqual({ type: 'tmpfs', source: 'none' });
    expect(topmost(mounts.toReversed(), '/run/lapse/fs')).toEqual({ type: 'tmpfs', source: 'none' });
    expect(topmost(mounts, '/run/lapse')).toBeUndefined();
  });

  it('leaves out lines that it does not understand', () => {
    expect(parseMountinfo('\nnonsense\n1 2 3 - x\n36 35 98:0 / /mnt rw\n')).toEqual([]);
  });
});
