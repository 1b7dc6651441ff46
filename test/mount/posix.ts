// The table of behaviours: what a program that uses files may expect of any engine, a row each. posix.test.ts runs all of
// it against every engine on a real mount. A row that an engine cannot honour stands in LIMITS, and only there, with what
// happens instead, which is checked; docs/engines.md tells users what these rows mean to them.
import type { Engine } from '../support/fuse-posix-mount.ts';
import { ATTRIBUTES } from './posix/attributes.ts';
import { DIRECTORIES } from './posix/directories.ts';
import { LIFE } from './posix/life.ts';
import { MAPPING } from './posix/mapping.ts';
import { NAMES } from './posix/names.ts';
import { PERMISSIONS } from './posix/permissions.ts';
import { READING } from './posix/reading.ts';
import { REVOCATION } from './posix/revocation.ts';
import type { Row } from './posix/row.ts';
import { WAITING } from './posix/waiting.ts';
import { WRITING } from './posix/writing.ts';
import { XATTRS } from './posix/xattrs.ts';

export const ROWS: readonly Row[] = [
  ...NAMES,
  ...ATTRIBUTES,
  ...DIRECTORIES,
  ...READING,
  ...MAPPING,
  ...WRITING,
  ...PERMISSIONS,
  ...XATTRS,
  ...WAITING,
  ...REVOCATION,
  ...LIFE,
];

export interface Limit {
  readonly engine: Engine;
  /** The name of the row. */
  readonly row: string;
  readonly reason: string;
  /** What the row fails with: that the engine does indeed not do it is checked, too. */
  readonly instead: RegExp;
}

const kernel = (row: string, reason: string, instead: RegExp): Limit => ({
  ...{ engine: 'kernel', row, reason, instead },
});
const native = (row: string, reason: string, instead: RegExp): Limit => ({
  ...{ engine: 'fuse-native', row, reason, instead },
});

const RING = 'io_uring reads no more than there is';
const RING_REASON =
  'the kernel starts again from the same place after a short read, unless it may read asynchronously';
const RING_INSTEAD = /\+ '\d{2,4} [0-9a-f]{8}'\n- '13 /;

export const LIMITS: readonly Limit[] = [
  kernel(RING, RING_REASON, RING_INSTEAD),
  kernel(
    'io_uring opens what a supplementary group may read',
    'the worker of a ring may show credentials that the process has given up',
    /'EACCES'/,
  ),
  kernel(
    'a directory without x lets nobody through',
    'the kernel asks about names that it does not have, and about nothing on the way',
    /\+ 'ino \d+ mode 100444/,
  ),
  kernel(
    'a directory without r lets nobody list it',
    "who may see a directory is the tree's decision",
    /\d+ !== 'EACCES'/,
  ),
  kernel(
    'what may not be read may not be watched',
    'the kernel asks nobody before it adds a watch',
    /'2' !== 'EACCES'/,
  ),
  native(RING, RING_REASON, RING_INSTEAD),
  native(
    'inode numbers are the node ids of the tree',
    'libfuse numbers the nodes as it meets them',
    /'ino \d{1,6} /,
  ),
  native(
    'a listing shows the inode numbers that stat shows',
    'libfuse does not look up what it lists',
    /\^ino 4294967295 /,
  ),
  native(
    'the tree learns which thread asks, and as whom',
    'the package does not say who asks',
    /'0 65534 65534'/,
  ),
  native('a link can differ by who reads it', 'the package does not say who asks', /'0' !== '\d+'/),
  native(
    'a held directory tells no more when the tree denies',
    'libfuse keeps the whole list while a directory is open',
    /Missing expected rejection/,
  ),
  ...['splice', 'sendfile'].map((way) =>
    native(
      `a held descriptor is EACCES by ${way} when the tree denies and its pages are withdrawn`,
      'the package cannot invalidate',
      /'4096 [0-9a-f]{8}'/,
    ),
  ),
  native(
    'a page that was touched is SIGBUS when it is withdrawn',
    'the package cannot invalidate',
    /'4096 [0-9a-f]{8}'/,
  ),
  native(
    'a watch tells of the changes that the server makes',
    'it is mounted read-only for the server, too',
    /EROFS/,
  ),
  native('the next server goes on where one was killed', 'nobody keeps the device', /ENOTCONN/),
];
