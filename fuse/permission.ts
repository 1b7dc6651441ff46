/**
 * Whether a caller may use a node as its mode, owner and group say: the kernel's generic_permission(), without ACLs, for
 * a mount without `default_permissions`. Where the ids of the request decide, that costs nothing; supplementary groups
 * and capabilities are read from /proc, where they stand still, because the caller is blocked until it is answered. What
 * cannot be known is a no. The server owes the /proc of the pid namespace in which it mounted.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { Attributes, Caller } from './tree.ts';

type Owned = Pick<Attributes, 'kind' | 'mode' | 'uid' | 'gid'>;
type Asking = Pick<Caller, 'tid' | 'uid' | 'gid'>;

/** The text of /proc/TID/FILE; undefined when it cannot be read as a whole, or does not tell one id from another. */
export type ReadThread = (
  tid: number | 'self',
  file: 'status' | 'stat' | 'uid_map' | 'gid_map',
) => string | undefined;

interface Credentials {
  /** Each id between two spaces. */
  readonly groups: string;
  readonly capabilities: number;
}

const { R_OK, W_OK, X_OK } = constants;
const ALL_OK = R_OK | W_OK | X_OK;
const ANY_X = 0o111;

/** <linux/capability.h> */
const CAP_DAC_OVERRIDE = 1 << 1;
const CAP_DAC_READ_SEARCH = 1 << 2;
/** <linux/sched.h>; before Linux 5.12 the workers of io_uring are kernel threads. */
const PF_IO_WORKER = 0x10;
const PF_KTHREAD = 0x20_0000;

/** More than a status with the 65,536 groups that the kernel allows. */
const MAX_TEXT_BYTES = 1 << 20;

const readThread = threadReader();

/**
 * The mask is one of R_OK, W_OK and X_OK, or several. For access(2), which asks by real ids: a thread whose real and
 * effective ids differ gets no groups and no capabilities, any other is answered by its effective capabilities.
 */
export function permits(attributes: Owned, caller: Asking, mask: number, read = readThread): boolean {
  const wanted = mask & ALL_OK;
  const bits = bitsByIds(attributes, caller, wanted);
  if (bits !== undefined && grants(bits, wanted)) return true;
  const credentials = credentialsOf(caller, read);
  if (credentials === undefined) return false;
  if (grants(bits ?? bitsByGroups(attributes, credentials), wanted)) return true;
  return (credentials.capabilities & overriding(attributes, wanted)) !== 0 && knows(caller, attributes, read);
}

/** The bits of the first class that the caller is in, and no other; undefined when its other groups make a difference. */
function bitsByIds({ mode, uid, gid }: Owned, caller: Asking, wanted: number): number | undefined {
  if (caller.uid === uid) return mode >> 6;
  if (caller.gid === gid) return mode >> 3;
  return ((mode ^ (mode >> 3)) & wanted) === 0 ? mode : undefined;
}

function bitsByGroups({ mode, gid }: Owned, { groups }: Credentials): number {
  return groups.includes(` ${gid} `) ? mode >> 3 : mode;
}

function grants(bits: number, wanted: number): boolean {
  return (wanted & ~bits) === 0;
}

/** The capabilities of which one stands in for the bits: to read and to search needs less than to write or execute. */
function overriding({ kind, mode }: Owned, wanted: number): number {
  const reads = kind === 'directory' ? (wanted & W_OK) === 0 : wanted === R_OK;
  if (reads) return CAP_DAC_OVERRIDE | CAP_DAC_READ_SEARCH;
  const executable = kind === 'directory' || (wanted & X_OK) === 0 || (mode & ANY_X) !== 0;
  return executable ? CAP_DAC_OVERRIDE : 0;
}

/** Undefined when those of the thread are not those it asks with. */
function credentialsOf({ tid, uid, gid }: Asking, read: ReadThread): Credentials | undefined {
  const status = tid > 0 ? read(tid, 'status') : undefined;
  if (status === undefined || isForAnother(read(tid, 'stat'))) return undefined;
  if (fsId(status, 'Uid') !== String(uid) || fsId(status, 'Gid') !== String(gid)) return undefined;
  const groups = field(status, 'Groups');
  const capabilities = field(status, 'CapEff');
  if (groups === undefined || capabilities === undefined) return undefined;
  return { groups: ` ${groups} `, capabilities: Number.parseInt(capabilities.slice(-8), 16) };
}

/**
 * A worker of io_uring asks with the credentials of whoever submitted the request; /proc shows those that the process
 * had when the worker was made, before it gave up its privileges.
 */
function isForAnother(stat: string | undefined): boolean {
  // The name, in parentheses, may contain anything.
  const flags = Number(stat?.slice(stat.lastIndexOf(') ')).split(' ')[7]);
  return !Number.isInteger(flags) || (flags & (PF_IO_WORKER | PF_KTHREAD)) !== 0;
}

/** Capabilities reach as far as the caller's user namespace: to nodes whose owner and group have an id in it. */
function knows({ tid }: Asking, { uid, gid }: Owned, read: ReadThread): boolean {
  return contains(read(tid, 'uid_map'), uid) && contains(read(tid, 'gid_map'), gid);
}

/** Real, effective, saved, and the one for file systems. */
function fsId(status: string, name: 'Uid' | 'Gid'): string | undefined {
  return field(status, name)?.split('\t')[3];
}

/** Lines end with \n only: a thread's name, which stands in the first, may contain \r, where a RegExp sees one, too. */
function field(status: string, name: string): string | undefined {
  const label = `\n${name}:\t`;
  const start = status.indexOf(label);
  const end = status.indexOf('\n', start + label.length);
  return start < 0 || end < 0 ? undefined : status.slice(start + label.length, end);
}

/** Whether the id is in a map of a user namespace (user_namespaces(7)), whose second column is an id as we know it. */
function contains(map: string | undefined, id: number): boolean {
  return extents(map).some(({ outside, count }) => id >= outside && id < outside + count);
}

/** As in the first namespace: every id is there, under its own number. */
function isWhole(map: string | undefined): boolean {
  return extents(map).some(
    ({ inside, outside, count }) => inside === 0 && outside === 0 && count === 0xffff_ffff,
  );
}

function extents(map = ''): { inside: number; outside: number; count: number }[] {
  return Array.from(map.matchAll(/(\d+) +(\d+) +(\d+)\n/g), ([, inside, outside, count]) => ({
    inside: Number(inside),
    outside: Number(outside),
    count: Number(count),
  }));
}

/**
 * Reads into one buffer, of which only what was ever written to takes memory. In a user namespace that does not have every
 * id it reads nothing: /proc shows all those groups as one and the same there.
 */
export function threadReader(limit = MAX_TEXT_BYTES): ReadThread {
  const text = Buffer.allocUnsafeSlow(limit);
  const read: ReadThread = (tid, file) => {
    try {
      return readWhole(`/proc/${tid}/${file}`, text);
    } catch {
      return undefined;
    }
  };
  const exact = isWhole(read('self', 'uid_map')) && isWhole(read('self', 'gid_map'));
  return exact ? read : () => undefined;
}

/** Maps come in several reads. Undefined for a text that may be longer than the buffer. */
function readWhole(path: string, into: Buffer): string | undefined {
  const file = openSync(path, 'r');
  try {
    for (let length = 0; length < into.length;) {
      const count = readSync(file, into, length, into.length - length, null);
      if (count === 0) return into.toString('latin1', 0, length);
      length += count;
    }
    return undefined;
  } finally {
    closeSync(file);
  }
}
