/**
 * The refusals that a tree and the engine speak of, as the protocol wants them: negative. Taken from the running
 * kernel's own table, so the numbers are right on every architecture.
 */
import { constants } from 'node:os';
import type { Errno } from './tree.ts';

const { errno } = constants;

export const ERRNO = {
  EPERM: -errno.EPERM,
  ENOENT: -errno.ENOENT,
  EBADF: -errno.EBADF,
  EACCES: -errno.EACCES,
  ENOTDIR: -errno.ENOTDIR,
  EISDIR: -errno.EISDIR,
  EINVAL: -errno.EINVAL,
  EROFS: -errno.EROFS,
  ERANGE: -errno.ERANGE,
  ENODATA: -errno.ENODATA,
  ENAMETOOLONG: -errno.ENAMETOOLONG,
  ENOSYS: -errno.ENOSYS,
  EOVERFLOW: -errno.EOVERFLOW,
} as const;

/**
 * What a tree refused with, as it may go to the kernel, which takes -1 to -511. ENOSYS is no refusal to it: it would
 * stop asking, for every file, and grant.
 */
export function refusal(errno: number): Errno {
  const sendable = Number.isInteger(errno) && errno < 0 && errno > -512 && errno !== ERRNO.ENOSYS;
  return sendable ? errno : ERRNO.EACCES;
}
