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

/** How long a reply buffer must be. */
export const REPLY_BUFFER_BYTES = HEADER_BYTES + MAX_READ_BYTES;

/**
 * How long the kernel may believe what it was told, without asking. A name: not at all, since one superblock serves
 * callers who see different trees, and a remembered name would outlive its revocation. Attributes of a file or a link:
 * not at all, they tell sizes. A directory's, which are the same for everybody: for the rest of the kernel's clock tick
 * (a nanosecond is rounded up to that), so that the permission check which follows a lookup does not ask again.
 */
const NAME_VALID_SECONDS = 0;
const ATTRIBUTES_VALID = { seconds: 0, nanoseconds: 1 } as const;

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
const ENTRY_OUT = {
  node: 0,
  entryValid: 16,
  attributesValid: 24,
  attributesValidNanoseconds: 36,
  attributes: 40,
} as const;
const ATTRIBUTES_OUT = { valid: 0, validNanoseconds: 8, attributes: 16 } as const;
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
const DIRENT = { node: 0, next: 8, nameLength: 16, type: 20, name: 24 } as const;

const FILE_TYPE = { directory: 0o040000, file: 0o100000, symlink: 0o120000 } as const;
const PERMISSION_BITS = 0o7777;
const BLOCK_BYTES = 4096;
const SECTOR_BYTES = 512;
/** The kernel takes no smaller max_write; nothing is ever written. */
const LEAST_MAX_WRITE = 4096;
const NANOSECONDS = 1_000_000_000;
const MAX_TARGET_BYTES = 4095;
const U32_RANGE = 2 ** 32;

/** What became of a request: the length of the payload that answers it, or an errno. */
export type Outcome = number;

export class Reply {
  readonly #bytes: Uint8Array;
  readonly #text: Buffer;
  readonly #view: DataView;
  #dirty = 0;

  constructor(buffer: Uint8Array) {
    if (buffer.byteLength < REPLY_BUFFER_BYTES)
      throw new RangeError(`a reply needs ${REPLY_BUFFER_BYTES} bytes`);
    this.#bytes = buffer.fill(0);
    this.#text = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }

  entry(attributes: Attributes): number {
    this.#u64(ENTRY_OUT.node, attributes.node);
    this.#u64(ENTRY_OUT.entryValid, NAME_VALID_SECONDS);
    this.#u64(ENTRY_OUT.attributesValid, ATTRIBUTES_VALID.seconds);
    this.#u32(ENTRY_OUT.attributesValidNanoseconds, validNanoseconds(attributes));
    return this.#attributes(ENTRY_OUT.attributes, attributes);
  }

  attributes(attributes: Attributes): number {
    this.#u64(ATTRIBUTES_OUT.valid, ATTRIBUTES_VALID.seconds);
    this.#u32(ATTRIBUTES_OUT.validNanoseconds, validNanoseconds(attributes));
    return this.#attributes(ATTRIBUTES_OUT.attributes, attributes);
  }

  opened(handle: number, flags: number): number {
    this.#u64(OPEN_OUT.handle, handle);
    this.#u32(OPEN_OUT.flags, flags);
    return OPEN_OUT.length;
  }

  /** Without an agreement it says only which major version we speak. Readahead stays 0. */
  initialised(agreement?: Agreement): number {
    this.#u32(INIT_OUT.major, PROTOCOL_MAJOR);
    if (agreement === undefined) return INIT_OUT.length;
    this.#u32(INIT_OUT.minor, agreement.minor);
    this.#u32(INIT_OUT.flags, agreement.flags);
    this.#u32(INIT_OUT.maxWrite, LEAST_MAX_WRITE);
    this.#u32(INIT_OUT.timeGranularity, NANOSECONDS);
    this.#u32(INIT_OUT.maxPages, MAX_READ_BYTES / BLOCK_BYTES);
    return INIT_OUT.length;
  }

  statistics(): number {
    this.#u32(STATFS_OUT.blockSize, BLOCK_BYTES);
    this.#u32(STATFS_OUT.nameLength, MAX_NAME_BYTES);
    this.#u32(STATFS_OUT.fragmentSize, BLOCK_BYTES);
    return STATFS_OUT.length;
  }

  target(path: string): Outcome {
    const length = Buffer.byteLength(path);
    if (length > MAX_TARGET_BYTES) return ERRNO.ENAMETOOLONG;
    this.#write(0, path, length);
    return length;
  }

  /** Appends a directory entry at `at`; returns where the next one goes, or `at` when it does not fit into `size`. */
  directoryEntry(at: number, size: number, entry: DirectoryEntry, next: number): number {
    const length = Buffer.byteLength(entry.name);
    const end = at + Math.ceil((DIRENT.name + length) / 8) * 8;
    if (end > size) return at;
    this.#u64(at + DIRENT.node, entry.node);
    this.#u64(at + DIRENT.next, next);
    this.#u32(at + DIRENT.nameLength, length);
    this.#u32(at + DIRENT.type, FILE_TYPE[entry.kind] >> 12);
    this.#write(at + DIRENT.name, entry.name, length);
    return end;
  }

  /** The place where file data goes, all of which counts as secret until `keep` says how much was used. */
  lend(size: number): Uint8Array {
    this.#dirty = HEADER_BYTES + size;
    return this.#bytes.subarray(HEADER_BYTES, this.#dirty);
  }

  keep(count: number): void {
    this.#dirty = HEADER_BYTES + count;
  }

  /** The whole message. */
  finish(request: Request, outcome: Outcome): Uint8Array {
    const length = HEADER_BYTES + Math.max(outcome, 0);
    this.#dirty = Math.max(this.#dirty, length);
    this.#view.setUint32(HEADER.length, length, true);
    this.#view.setInt32(HEADER.error, Math.min(outcome, 0), true);
    this.#view.setUint32(HEADER.unique, request.uniqueLow, true);
    this.#view.setUint32(HEADER.unique + 4, request.uniqueHigh, true);
    return this.#bytes.subarray(0, length);
  }

  wipe(): void {
    this.#bytes.fill(0, 0, this.#dirty);
    this.#dirty = 0;
  }

  #attributes(at: number, { node, kind, size, mode, uid, gid, mtime }: Attributes): number {
    this.#u64(at + ATTRIBUTES.node, node);
    this.#u64(at + ATTRIBUTES.size, size);
    this.#u64(at + ATTRIBUTES.blocks, Math.ceil(size / SECTOR_BYTES));
    for (const time of [ATTRIBUTES.atime, ATTRIBUTES.mtime, ATTRIBUTES.ctime]) this.#u64(at + time, mtime);
    this.#u32(at + ATTRIBUTES.mode, FILE_TYPE[kind] | (mode & PERMISSION_BITS));
    this.#u32(at + ATTRIBUTES.links, kind === 'directory' ? 2 : 1);
    this.#u32(at + ATTRIBUTES.uid, uid);
    this.#u32(at + ATTRIBUTES.gid, gid);
    this.#u32(at + ATTRIBUTES.blockSize, BLOCK_BYTES);
    return at + ATTRIBUTES.length;
  }

  #u32(at: number, value: number): void {
    this.#touch(at + 4);
    this.#view.setUint32(HEADER_BYTES + at, value, true);
  }

  #u64(at: number, value: number): void {
    this.#u32(at, value % U32_RANGE);
    this.#u32(at + 4, Math.floor(value / U32_RANGE));
  }

  #write(at: number, text: string, length: number): void {
    this.#touch(at + length);
    this.#text.write(text, HEADER_BYTES + at, length, 'utf8');
  }

  #touch(end: number): void {
    this.#dirty = Math.max(this.#dirty, HEADER_BYTES + end);
  }
}

function validNanoseconds({ kind }: Attributes): number {
  return kind === 'directory' ? ATTRIBUTES_VALID.nanoseconds : 0;
}
