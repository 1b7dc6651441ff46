/**
 * The one exchange that decides what the kernel may do without asking. What is not listed in FLAGS stays off, each for
 * a reason, because nearly every FUSE feature is a cache, and a cache answers after a revocation:
 *   ASYNC_READ and readahead   would bring in pages that nobody has touched, so nobody was checked for
 *   WRITEBACK_CACHE            nothing is written here
 *   CACHE_SYMLINKS             a link such as `self` differs by caller, and one superblock serves all of them
 *   DIRECT_IO_ALLOW_MMAP       would allow MAP_SHARED of a file opened for direct I/O, which is refused without it
 *   ATOMIC_O_TRUNC, SPLICE_*, POSIX_ACL, POSIX_LOCKS, FLOCK_LOCKS, …   of no use to a read-only server
 */
import { FuseError } from './errors.ts';

/** One READ asks for at most this much: it bounds the locked memory that a reply needs. */
export const MAX_READ_BYTES = 128 * 1024;

export const PROTOCOL_MAJOR = 7;
/** The oldest whose structures were compared with ours. */
const OLDEST_MINOR = 31;
/** Linux 6.18: the newest minor of which this code knows what changed. */
const NEWEST_MINOR = 45;

const FLAG = {
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  PARALLEL_DIROPS: 1 << 18,
  MAX_PAGES: 1 << 22,
} as const;

/**
 * Lookups by different callers need not wait for each other, requests are as long as MAX_PAGES says, and a listing brings
 * what a lookup of each name by the same caller would, where the kernel sees that names are looked up after a listing.
 */
const FLAGS = FLAG.DO_READDIRPLUS | FLAG.READDIRPLUS_AUTO | FLAG.PARALLEL_DIROPS | FLAG.MAX_PAGES;

export interface Offer {
  readonly major: number;
  readonly minor: number;
  readonly flags: number;
}

export interface Agreement {
  readonly minor: number;
  readonly flags: number;
}

/** `again` when the kernel is newer by a major version: told ours, it sends a second INIT that speaks it. */
export function negotiate({ major, minor, flags }: Offer): Agreement | 'again' {
  if (major > PROTOCOL_MAJOR) return 'again';
  if (major < PROTOCOL_MAJOR || minor < OLDEST_MINOR) {
    throw new FuseError(
      'protocol-unsupported',
      `the kernel speaks FUSE ${major}.${minor}; 7.${OLDEST_MINOR} is needed`,
    );
  }
  return { minor: Math.min(minor, NEWEST_MINOR), flags: flags & FLAGS };
}
