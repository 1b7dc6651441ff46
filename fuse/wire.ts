/**
 * Requests of the kernel's FUSE protocol (7.31 and later, <linux/fuse.h>): where each field stands, and a decoder that
 * no message can crash. Little-endian, as every machine that Lapse runs on. A u64 is read as two u32 and becomes a
 * Number; whoever needs it exact checks that it is a safe integer. One decoder serves one buffer for ever, so that a
 * request allocates nothing.
 */
import { isUtf8 } from 'node:buffer';
import { ERRNO } from './errno.ts';
import type { Errno } from './tree.ts';

export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  COPY_FILE_RANGE: 47,
  TMPFILE: 51,
  STATX: 52,
} as const;

export const ROOT_NODE = 1;
export const MAX_NAME_BYTES = 255;
export const REQUEST_HEADER_BYTES = 40;

const HEADER = { length: 0, opcode: 4, unique: 8, node: 16, uid: 24, gid: 28, tid: 32 } as const;

/** Where the arguments of each request stand, counted from the end of its header. */
export const FORGET_IN = { lookups: 0 } as const;
export const OPEN_IN = { flags: 0 } as const;
export const READ_IN = { handle: 0, offset: 8, size: 16 } as const;
export const RELEASE_IN = { handle: 0 } as const;
export const ACCESS_IN = { mask: 0 } as const;
export const INIT_IN = { major: 0, minor: 4, flags: 12 } as const;
export const BATCH_FORGET_IN = { count: 0, first: 8, node: 0, lookups: 8, stride: 16 } as const;
export const XATTR_IN = { size: 0, name: 8 } as const;
export const CREATE_IN = { name: 16 } as const;
export const RENAME_IN = { directory: 0, names: 8 } as const;
export const RENAME2_IN = { directory: 0, names: 16 } as const;

const ARGUMENT_BYTES: Readonly<Record<number, number>> = {
  [OPCODE.FORGET]: 8,
  [OPCODE.SETATTR]: 88,
  [OPCODE.RENAME]: 8,
  [OPCODE.OPEN]: 8,
  [OPCODE.READ]: 40,
  [OPCODE.RELEASE]: 24,
  [OPCODE.GETXATTR]: 8,
  [OPCODE.LISTXATTR]: 8,
  [OPCODE.INIT]: 16,
  [OPCODE.OPENDIR]: 8,
  [OPCODE.READDIR]: 40,
  [OPCODE.RELEASEDIR]: 24,
  [OPCODE.ACCESS]: 8,
  [OPCODE.CREATE]: 16,
  [OPCODE.BATCH_FORGET]: 8,
  [OPCODE.READDIRPLUS]: 40,
  [OPCODE.RENAME2]: 16,
};

const U32_RANGE = 2 ** 32;
const NODE_RANGE = 2 ** 52;

export class Request {
  opcode = 0;
  /** Echoed in the reply; kept as two halves because bit 63 marks a request that the kernel sends again. */
  uniqueLow = 0;
  uniqueHigh = 0;
  node = 0;
  uid = 0;
  gid = 0;
  tid = 0;
  /** Whole, with the arguments that its opcode asks for, about a node that can exist. Nothing else may be decoded. */
  wellFormed = false;
  argumentBytes = 0;
  readonly #bytes: Buffer;
  readonly #view: DataView;

  constructor(buffer: Uint8Array) {
    this.#bytes = Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }

  /** Decodes what stands in the buffer; false when there is not even a header that could be answered. */
  load(length: number): boolean {
    if (length < REQUEST_HEADER_BYTES || length > this.#bytes.length) return false;
    const view = this.#view;
    this.argumentBytes = length - REQUEST_HEADER_BYTES;
    this.opcode = view.getUint32(HEADER.opcode, true);
    this.uniqueLow = view.getUint32(HEADER.unique, true);
    this.uniqueHigh = view.getUint32(HEADER.unique + 4, true);
    this.node = this.#u64(HEADER.node);
    this.uid = view.getUint32(HEADER.uid, true);
    this.gid = view.getUint32(HEADER.gid, true);
    this.tid = view.getUint32(HEADER.tid, true);
    this.wellFormed =
      view.getUint32(HEADER.length, true) === length &&
      this.argumentBytes >= (ARGUMENT_BYTES[this.opcode] ?? 0) &&
      this.node < NODE_RANGE;
    return true;
  }

  u32(at: number): number {
    return this.#view.getUint32(REQUEST_HEADER_BYTES + at, true);
  }

  /** Not exact above 2^53: check with Number.isSafeInteger. */
  u64(at: number): number {
    return this.#u64(REQUEST_HEADER_BYTES + at);
  }

  /** The name that stands at `at` among the arguments. */
  name(at = 0): string | Errno {
    const start = REQUEST_HEADER_BYTES + at;
    const end = this.#nameEnd(start);
    if (end <= start) return ERRNO.EINVAL;
    if (end - start > MAX_NAME_BYTES) return ERRNO.ENAMETOOLONG;
    // Nearly all are ASCII: no view has to be made of those to check them.
    if (this.#isAscii(start, end)) return this.#bytes.toString('latin1', start, end);
    // A tree's names are text: one that is not cannot be there, and must not turn into another by replacement.
    return isUtf8(this.#bytes.subarray(start, end)) ? this.#bytes.toString('utf8', start, end) : ERRNO.ENOENT;
  }

  /** Where the name after the one at `at` begins. */
  nextName(at: number): number {
    return this.#nameEnd(REQUEST_HEADER_BYTES + at) + 1 - REQUEST_HEADER_BYTES;
  }

  /** The place of the zero that ends it; -1 when there is none in this request (the buffer holds older ones behind). */
  #nameEnd(start: number): number {
    const end = this.#bytes.indexOf(0, start);
    return end < REQUEST_HEADER_BYTES + this.argumentBytes ? end : -1;
  }

  #isAscii(start: number, end: number): boolean {
    let seen = 0;
    for (let at = start; at < end; at += 1) seen |= this.#bytes[at] ?? 0;
    return seen < 0x80;
  }

  #u64(at: number): number {
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * U32_RANGE;
  }
}
