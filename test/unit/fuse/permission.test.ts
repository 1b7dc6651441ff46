// What test/mount/permission.test.ts cannot bring about on a real kernel, or should not have to: that /proc is left alone
// where the ids decide, and what is read there when it is odd. Whether the rule is right is decided there.
import { constants } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { permits } from '../../../fuse/permission.ts';
import type { ReadThread } from '../../../fuse/permission.ts';

const { R_OK, W_OK, X_OK } = constants;
const WHOLE = '         0          0 4294967295\n';

/** /proc of a thread of user 1000, which is in the groups 1000, 2000 and 3000 and has CAP_DAC_READ_SEARCH. */
const PROC = {
  status: [
    'Name:\tcat',
    'Uid:\t1000\t1000\t1000\t1000',
    'Gid:\t1000\t1000\t1000\t1000',
    'Groups:\t2000 3000 ',
    'CapPrm:\t000001ffffffffff',
    'CapEff:\t0000010000000004',
    '',
  ].join('\n'),
  stat: '42 (cat) S 1 42 42 0 -1 4194304 90 0\n',
  uid_map: WHOLE,
  gid_map: WHOLE,
};

const caller = { tid: 42, uid: 1000, gid: 1000 };
const file = (mode: number, uid = 5000, gid = 5000) => ({ kind: 'file', mode, uid, gid }) as const;

const reading =
  (proc: Partial<typeof PROC>): ReadThread =>
  (_, name) =>
    proc[name];

const withStatus = (from: string | RegExp, to: string): ReadThread => {
  const status = PROC.status.replace(from, to);
  if (status === PROC.status) throw new Error(`${String(from)} is not in the text`);
  return reading({ ...PROC, status });
};

describe('where the ids decide', () => {
  const never: ReadThread = () => {
    throw new Error('read');
  };

  it.each([
    ['its owner', file(0o400, 1000), R_OK],
    ['one of its group', file(0o040, 5000, 1000), R_OK],
    ['any other, when the group may as well', file(0o044), R_OK],
    ['all that is asked', file(0o755, 1000), R_OK | W_OK | X_OK],
    ['nothing that is asked', file(0), 0],
  ])('%s: /proc is not read', (_, node, mask) => {
    expect(permits(node, caller, mask, never)).toBe(true);
  });

  it.each([
    ['another group might lack it', file(0o004)],
    ['another group might have it', file(0o040)],
    ['the owner lacks it, but has capabilities perhaps', file(0o044, 1000)],
  ])('control: it is read when %s', (_, node) => {
    expect(() => permits(node, caller, R_OK, never)).toThrow('read');
  });
});

describe('what is not known is a no', () => {
  const member = file(0o040, 5000, 2000);
  const searched = file(0o000);

  it('control: as a member, and by a capability', () => {
    expect(permits(member, caller, R_OK, reading(PROC))).toBe(true);
    expect(permits(searched, caller, R_OK, reading(PROC))).toBe(true);
    expect(permits(file(0o004), caller, R_OK, reading(PROC)), 'others').toBe(true);
  });

  it.each<[string, ReadThread, number?]>([
    ['a caller that the kernel does not name', reading(PROC), 0],
    ['a thread that cannot be read', () => undefined],
    ['no stat', reading({ status: PROC.status })],
    ['a stat that is none', reading({ ...PROC, stat: '42 (cat' })],
    ['a stat without flags', reading({ ...PROC, stat: '42 (cat) S 1 42 42 0 -1 x\n' })],
    ['a worker of io_uring', reading({ ...PROC, stat: '42 (iou-wrk-41) S 1 42 42 0 -1 4211024 0\n' })],
    ['one with such a name', reading({ ...PROC, stat: '42 ()       0 ) S 1 42 42 0 -1 4211024 0\n' })],
    ['a kernel thread', reading({ ...PROC, stat: '42 (nfsd) S 2 0 0 0 -1 2129984 0\n' })],
    ['a thread that asks as another user', withStatus(/1000\nGid/, '1001\nGid')],
    ['a thread that asks as another group', withStatus(/1000\nGroups/, '1001\nGroups')],
    ['no user', withStatus(/\nUid.*/, '')],
    ['no group', withStatus(/\nGid.*/, '')],
    ['no list of groups', withStatus(/\nGroups.*/, '')],
    ['no capabilities', withStatus(/\nCapEff.*/, '')],
    ['half a line', withStatus(/0000004\n$/, '0000004')],
  ])('%s', (_, read, tid = 42) => {
    expect(permits(member, { ...caller, tid }, R_OK, read)).toBe(false);
    expect(permits(searched, { ...caller, tid }, R_OK, read)).toBe(false);
    expect(permits(file(0o004), { ...caller, tid }, R_OK, read), 'others').toBe(false);
  });

  it.each([
    ['part of an id', file(0o040, 5000, 200)],
    ['two ids', file(0o040, 5000, 20_003_000)],
  ])('a group that is %s', (_, node) => {
    expect(permits(node, caller, R_OK, withStatus('0000004\n', '0000000\n'))).toBe(false);
  });

  it.each(['\\nGroups:\t5000', '\rGroups:\t5000', '\u2028Groups:\t5000', ' Groups:\t5000'])(
    'a name such as %j',
    (name) => {
      const status = PROC.status.replace('cat', name).replace('0000004\n', '0000000\n');
      expect(permits(file(0o040), caller, R_OK, reading({ ...PROC, status }))).toBe(false);
      expect(permits(member, caller, R_OK, reading({ ...PROC, status })), 'control').toBe(true);
    },
  );
});

describe('capabilities', () => {
  it.each([
    ['CAP_DAC_READ_SEARCH', '4', R_OK, X_OK],
    ['CAP_DAC_OVERRIDE', '2', R_OK | W_OK, X_OK],
    ['all others', 'fffffff9', 0, R_OK],
  ])('%s', (_, capabilities, granted, refused) => {
    const read = withStatus(/CapEff.*/, `CapEff:\t${capabilities.padStart(16, '0')}`);
    expect(permits(file(0), caller, granted, read)).toBe(true);
    expect(permits(file(0), caller, refused, read)).toBe(false);
  });

  const map = '         0       5000          2\n      1000     100000      65536\n';
  it.each([
    [5000, true],
    [5001, true],
    [5002, false],
    [4999, false],
    [0, false],
    [99_999, false],
    [100_000, true],
    [165_535, true],
    [165_536, false],
  ])('an owner, or a group, with the id %i', (id, known) => {
    expect(permits(file(0, id), caller, R_OK, reading({ ...PROC, uid_map: map }))).toBe(known);
    expect(permits(file(0, 5000, id), caller, R_OK, reading({ ...PROC, gid_map: map }))).toBe(known);
  });

  it.each(['', '0 0', 'x 0 0 y\n'])('a map that is none: %j', (none) => {
    expect(permits(file(0, 0, 0), caller, R_OK, reading({ ...PROC, uid_map: none }))).toBe(false);
    expect(permits(file(0, 0, 0), caller, R_OK, reading({ ...PROC, gid_map: none }))).toBe(false);
  });
});
