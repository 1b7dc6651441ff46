// The decision and what a reader sees of it: the table of docs/spec.md, row by row.
import { describe, expect, test } from 'vitest';
import { admit, enter } from '../../../daemon/access.ts';
import type { Denial } from '../../../daemon/access.ts';
import { toErrno } from '../../../daemon/tree/errno.ts';
import { ERRNO } from '../../../fuse/errno.ts';
import { parseWorkload } from '../../../manifest/names.ts';

const WEB = parseWorkload('web');
const DB = parseWorkload('db');

test.for<[string, Denial | undefined, ReturnType<typeof enter>]>([
  ['the view’s own workload', undefined, enter(WEB, WEB)],
  ['another workload', 'foreign-view', enter(DB, WEB)],
  ['nobody', 'unknown-caller', enter(undefined, WEB)],
])('%s enters: %s', ([, denial, decided]) => {
  expect(decided).toBe(denial);
});

test.for<[string, Denial | undefined, ReturnType<typeof admit>]>([
  ['its own workload, in time', undefined, admit(WEB, WEB, true)],
  ['its own workload, too late', 'lease-over', admit(WEB, WEB, false)],
  ['another, in time', 'foreign-view', admit(DB, WEB, true)],
  ['another, too late', 'foreign-view', admit(DB, WEB, false)],
  ['nobody, in time', 'unknown-caller', admit(undefined, WEB, true)],
  ['nobody, too late', 'unknown-caller', admit(undefined, WEB, false)],
])('%s reads: %s', ([, denial, decided]) => {
  expect(decided).toBe(denial);
});

describe('what a reader sees', () => {
  test.for<[Denial, 'name' | 'file', keyof typeof ERRNO]>([
    ['no-such-file', 'name', 'ENOENT'],
    ['no-such-file', 'file', 'EACCES'],
    ['revoked', 'name', 'ENOENT'],
    ['revoked', 'file', 'EACCES'],
    ['lease-over', 'name', 'EACCES'],
    ['lease-over', 'file', 'EACCES'],
    ['unknown-caller', 'name', 'EACCES'],
    ['unknown-caller', 'file', 'EACCES'],
    ['foreign-view', 'name', 'ENOENT'],
    ['foreign-view', 'file', 'EACCES'],
  ])('%s of a %s is %s', ([denial, stage, errno]) => {
    expect(toErrno(denial, stage)).toBe(ERRNO[errno]);
  });
});
