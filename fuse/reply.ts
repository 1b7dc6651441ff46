/**
 * Replies of the kernel's FUSE protocol, written into one buffer that the caller owns (locked memory, if secrets are
 * served). The buffer is all zero between two replies: `wipe` sees to it, and the encoders rely on it, so they write
 * only fields that are not zero. Each encoder returns the length of the payload it wrote behind the header.
 */
import { ERRNO } from './errno.ts';
import { MAX_READ_BYTES, PROTOCOL_MAJOR } from './negotiation.ts';
import type { Agreement } from './negotiation.ts';
import type { Attributes, DirectoryEntry } from './tree.ts';
import { MAX_NAME_BYTES } from './wire.ts';
import type { Request } from './wire.ts';

const HEADER_BYTES = 16;
const HEADER = { length: 0, error: 4, unique: 8 } as const;

/** How long a reply buffer must be; it must begin at a multiple of 8. */
export const REPLY_BUFFER_BYTES = HEADER_BYTES + MAX_READ_BYTES;

/**
 * For how long the kernel may believe what it was told, without asking, in seconds: what is lasting until it is withdrawn,
 * or this long; anything else not at all.
 */
const LASTING_SECONDS = 3600;

const ATTRIBUTES = {
  node: 0,
  size: 8,
  blocks: 16,
  atime: 24,
  mtime: 32,
  ctime: 40,
  mode: 60,
  links: 64,
  uid: 68,
  gid: 72,
  blockSize: 80,
  length: 88,
} as const;
const ENTRY_OUT = { node: 0, entryValid: 16, attributesValid: 24, attributes: 40, length: 128 } as const;
const ATTRIBUTES_OUT = { valid: 0, attributes: 16 } as const;
const STATX_OUT = { valid: 0, statx: 32, length: 288 } as const;
/** struct statx, but for the fields that stay zero. */
const STATX = {
  mask: 0,
  blockSize: 4,
  links: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  node: 32,
  size: 40,
  blocks: 48,
  atime: 64,
  ctime: 96,
  mtime: 112,
} as const;
/** STATX_BASIC_STATS: there is no time of birth. */
const STATX_KNOWN = 0x7ff;
const OPEN_OUT = { handle: 0, flags: 8, length: 16 } as const;
const INIT_OUT = {
  major: 0,
  minor: 4,
  flags: 12,
  maxWrite: 20,
  timeGranularity: 24,
  maxPages: 28,
  length: 64,
} as const;
const STATFS_OUT = { blockSize: 40, nameLength: 44, fragmentSize: 48, length: 80 } as const;
const POLL_OUT = { events: 0, length: 8 } as const;
/** POLLIN | POLLRDNORM: a read never waits. */
const READABLE = 0x41;
const XATTR_OUT = { size: 0, length: 8 } as const;
const DIRENT = { node: 0, next: 8, nameLength: 16, type: 20, name: 24 } as const;

const FILE_TYPE = { directory: 0o040000, file: 0o100000, symlink: 0o120000 } as const;
const PERMISSION_BITS = 0o7777;
const BLOCK_BYTES = 4096;
const SECTOR_BYTES = 512;
/** The kernel takes no smaller max_write; nothing is ever written. */
const LEAST_MAX_WRITE = 4096;
const NANOSECONDS = 1_000_000_000;
const MAX_TARGET_BYTES = 4095;
/** The kernel's own limit. */
const MAX_XATTR_BYTES = 65_536;
const U32_RANGE = 2 ** 32;

/** What READDIRPLUS puts before each directory entry. */
export const ENTRY_BYTES = ENTRY_OUT.length;

/** What a directory entry takes up. */
export function direntBytes(name: string): number {
  return Math.ceil((DIRENT.name + Buffer.byteLength(name)) / 8) * 8;
}

/** Encodes a directory entry into zeroes; `next` is the offset behind it. */
export function writeDirent(
  into: Buffer,
  at: number,
  { node, name, kind }: DirectoryEntry,
  next: number,
): void {
  into.writeUInt32LE(node % U32_RANGE, at + DIRENT.node);
  into.writeUInt32LE(Math.floor(node / U32_RANGE), at + DIRENT.node + 4);
  into.writeUInt32LE(next, at + DIRENT.next);
  into.writeUInt32LE(FILE_TYPE[kind] >> 12, at + DIRENT.type);
  into.writeUInt32LE(into.write(name, at + DIRENT.name, 'utf8'), at + DIRENT.nameLength);
}

/** How a file is opened. */
export const FOPEN = {
  /** Every read(2) asks us, so a descriptor that is held open loses access, too. */
  DIRECT_IO: 1 << 0,
  /** There is nothing to flush: it saves a round trip per close. */
  NOFLUSH: 1 << 5,
} as const;

/** What became of a request: the length of the payload that answers it, or an errno. */
export type Outcome = number;

export class Reply {
  readonly #bytes: Uint8Array;
  readonly #text: Buffer;
  readonly #view: DataView;
  /** V8 fills shared memory one element at a time, so larger ones take an eighth of the time. */
  readonly #words: Float64Array;
  /** Most reads ask for as much as the one before. */
  #lent: Uint8Array = new Uint8Array(0);
  #dirty = 0;

  constructor(buffer: Uint8Array) {
    if (buffer.byteLength < REPLY_BUFFER_BYTES)
      throw new RangeError(`a reply needs ${REPLY_BUFFER_BYTES} bytes`);
    this.#bytes = buffer.fill(0);
    this.#text = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.#words = new Float64Array(buffer.buffer, buffer.byteOffset, REPLY_BUFFER_BYTES / 8);
  }

  entry(attributes: Attributes, at = 0): number {
    const valid = validSeconds(attributes);
    this.#u64(at + ENTRY_OUT.node, attributes.node);
    this.#u64(at + ENTRY_OUT.entryValid, valid);
    this.#u64(at + ENTRY_OUT.attributesValid, valid);
    this.#attributes(at + ENTRY_OUT.attributes, attributes);
    return at + ENTRY_OUT.length;
  }

  attributes(attributes: Attributes): number {
    this.#u64(ATTRIBUTES_OUT.valid, validSeconds(attributes));
    return this.#attributes(ATTRIBUTES_OUT.attributes, attributes);
  }

  statx(attributes: Attributes): number {
    const { node, kind, size, mode, uid, gid, mtime } = attributes;
    this.#u64(STATX_OUT.valid, validSeconds(attributes));
    const at = STATX_OUT.statx;
    this.#u32(at + STATX.mask, STATX_KNOWN);
    this.#u32(at + STATX.blockSize, BLOCK_BYTES);
    this.#u32(at + STATX.links, links(kind));
    this.#u32(at + STATX.uid, uid);
    this.#u32(at + STATX.gid, gid);
    this.#u32(at + STATX.mode, FILE_TYPE[kind] | (mode & PERMISSION_BITS));
    this.#u64(at + STATX.node, node);
    this.#u64(at + STATX.size, size);
    this.#u64(at + STATX.blocks, Math.ceil(size / SECTOR_BYTES));
    this.#u64(at + STATX.atime, mtime);
    this.#u64(at + STATX.ctime, mtime);
    this.#u64(at + STATX.mtime, mtime);
    return this.#upTo(STATX_OUT.length);
  }

  opened(handle: number, flags: number, at = 0): number {
    this.#u64(at + OPEN_OUT.handle, handle);
    this.#u32(at + OPEN_OUT.flags, flags);
    return this.#upTo(at + OPEN_OUT.length);
  }

  created(attributes: Attributes, handle: number, flags: number): number {
    return this.opened(handle, flags, this.entry(attributes));
  }

  readable(): number {
    this.#u32(POLL_OUT.events, READABLE);
    return this.#upTo(POLL_OUT.length);
  }

  /** The value of an extended attribute, or a list of names: its length when nothing may be written yet. */
  xattr(value: string, size: number): Outcome {
    const length = Buffer.byteLength(value);
    if (size === 0) {
      this.#u32(XATTR_OUT.size, length);
      return this.#upTo(XATTR_OUT.length);
    }
    if (length > size || length > MAX_XATTR_BYTES) return ERRNO.ERANGE;
    this.#write(0, value, length);
    return length;
  }

  /** Without an agreement it says only which major version we speak. Readahead stays 0. */
  initialised(agreement?: Agreement): number {
    this.#u32(INIT_OUT.major, PROTOCOL_MAJOR);
    if (agreement === undefined) return this.#upTo(INIT_OUT.length);
    this.#u32(INIT_OUT.minor, agreement.minor);
    this.#u32(INIT_OUT.flags, agreement.flags);
    this.#u32(INIT_OUT.maxWrite, LEAST_MAX_WRITE);
    this.#u32(INIT_OUT.timeGranularity, NANOSECONDS);
    this.#u32(INIT_OUT.maxPages, MAX_READ_BYTES / BLOCK_BYTES);
    return this.#upTo(INIT_OUT.length);
  }

  statistics(): number {
    this.#u32(STATFS_OUT.blockSize, BLOCK_BYTES);
    this.#u32(STATFS_OUT.nameLength, MAX_NAME_BYTES);
    this.#u32(STATFS_OUT.fragmentSize, BLOCK_BYTES);
    return this.#upTo(STATFS_OUT.length);
  }

  target(path: string): Outcome {
    const length = Buffer.byteLength(path);
    if (length > MAX_TARGET_BYTES) return ERRNO.ENAMETOOLONG;
    this.#write(0, path, length);
    return length;
  }

  /** Copies directory entries that were encoded before (`writeDirent`). */
  dirents(at: number, encoded: Buffer, from: number, to: number): number {
    encoded.copy(this.#bytes, HEADER_BYTES + at, from, to);
    return this.#upTo(at + to - from);
  }

  /** The place where file data goes, all of which counts as secret until `keep` says how much was used. */
  lend(size: number): Uint8Array {
    this.#dirty = HEADER_BYTES + size;
    if (this.#lent.length !== size) this.#lent = this.#bytes.subarray(HEADER_BYTES, this.#dirty);
    return this.#lent;
  }

  keep(count: number): void {
    this.#dirty = HEADER_BYTES + count;
  }

  /** Completes the message and returns its length: it stands at the start of the buffer. */
  finish(request: Request, outcome: Outcome): number {
    const length = HEADER_BYTES + Math.max(outcome, 0);
    this.#dirty = Math.max(this.#dirty, length);
    this.#view.setUint32(HEADER.length, length, true);
    this.#view.setInt32(HEADER.error, Math.min(outcome, 0), true);
    this.#view.setUint32(HEADER.unique, request.uniqueLow, true);
    this.#view.setUint32(HEADER.unique + 4, request.uniqueHigh, true);
    return length;
  }

  wipe(): void {
    this.#words.fill(0, 0, Math.ceil(this.#dirty / 8));
    this.#dirty = 0;
  }

  #attributes(at: number, { node, kind, size, mode, uid, gid, mtime }: Attributes): number {
    this.#u64(at + ATTRIBUTES.node, node);
    this.#u64(at + ATTRIBUTES.size, size);
    this.#u64(at + ATTRIBUTES.blocks, Math.ceil(size / SECTOR_BYTES));
    this.#u64(at + ATTRIBUTES.atime, mtime);
    this.#u64(at + ATTRIBUTES.mtime, mtime);
    this.#u64(at + ATTRIBUTES.ctime, mtime);
    this.#u32(at + ATTRIBUTES.mode, FILE_TYPE[kind] | (mode & PERMISSION_BITS));
    this.#u32(at + ATTRIBUTES.links, links(kind));
    this.#u32(at + ATTRIBUTES.uid, uid);
    this.#u32(at + ATTRIBUTES.gid, gid);
    this.#u32(at + ATTRIBUTES.blockSize, BLOCK_BYTES);
    return this.#upTo(at + ATTRIBUTES.length);
  }

  #u32(at: number, value: number): void {
    this.#view.setUint32(HEADER_BYTES + at, value, true);
  }

  #u64(at: number, value: number): void {
    this.#u32(at, value); // which takes the lower half
    if (value < 0 || value >= U32_RANGE) this.#u32(at + 4, Math.floor(value / U32_RANGE));
  }

  #write(at: number, text: string, length: number): void {
    this.#upTo(at + length);
    this.#text.write(text, HEADER_BYTES + at, length, 'utf8');
  }

  /** What every encoder ends with: so much of the payload is not zero any more. */
  #upTo(end: number): number {
    this.#dirty = Math.max(this.#dirty, HEADER_BYTES + end);
    return end;
  }
}

function validSeconds({ lasting }: Attributes): number {
  return lasting === true ? LASTING_SECONDS : 0;
}

function links(kind: Attributes['kind']): number {
  return kind === 'directory' ? 2 : 1;
}
