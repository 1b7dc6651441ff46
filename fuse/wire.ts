/**
 * Requests of the kernel's FUSE protocol (7.31 and later, <linux/fuse.h>): where each field stands, and a decoder that
 * no message can crash. Little-endian, as every machine that Lapse runs on. A u64 is read as two u32 and becomes a
 * Number; whoever needs it exact checks that it is a safe integer.
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
  SETXATTR: 21,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  RENAME2: 45,
  COPY_FILE_RANGE: 47,
  TMPFILE: 51,
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

const ARGUMENT_BYTES: Readonly<Record<number, number>> = {
  [OPCODE.FORGET]: 8,
  [OPCODE.OPEN]: 8,
  [OPCODE.READ]: 40,
  [OPCODE.RELEASE]: 24,
  [OPCODE.INIT]: 16,
  [OPCODE.OPENDIR]: 8,
  [OPCODE.READDIR]: 40,
  [OPCODE.RELEASEDIR]: 24,
  [OPCODE.ACCESS]: 8,
  [OPCODE.BATCH_FORGET]: 8,
};

const U32_RANGE = 2 ** 32;
const NODE_RANGE = 2 ** 52;

export class Request {
  readonly opcode: number;
  /** Echoed in the reply; kept as two halves because bit 63 marks a request that the kernel sends again. */
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  readonly node: number;
  readonly uid: number;
  readonly gid: number;
  readonly tid: number;
  /** Whole, with the arguments that its opcode asks for, about a node that can exist. Nothing else may be decoded. */
  readonly wellFormed: boolean;
  readonly #bytes: Buffer;
  readonly #view: DataView;

  /** Undefined when there is not even a header that could be answered. */
  static decode(message: Uint8Array): Request | undefined {
    return message.byteLength < REQUEST_HEADER_BYTES ? undefined : new Request(message);
  }

  private constructor(message: Uint8Array) {
    const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    this.#view = view;
    this.#bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
    this.opcode = view.getUint32(HEADER.opcode, true);
    this.uniqueLow = view.getUint32(HEADER.unique, true);
    this.uniqueHigh = view.getUint32(HEADER.unique + 4, true);
    this.node = this.#u64(HEADER.node);
    this.uid = view.getUint32(HEADER.uid, true);
    this.gid = view.getUint32(HEADER.gid, true);
    this.tid = view.getUint32(HEADER.tid, true);
    this.wellFormed =
      view.getUint32(HEADER.length, true) === message.byteLength &&
      this.argumentBytes >= (ARGUMENT_BYTES[this.opcode] ?? 0) &&
      this.node < NODE_RANGE;
  }

  get argumentBytes(): number {
    return this.#view.byteLength - REQUEST_HEADER_BYTES;
  }

  u32(at: number): number {
    return this.#view.getUint32(REQUEST_HEADER_BYTES + at, true);
  }

  /** Not exact above 2^53: check with Number.isSafeInteger. */
  u64(at: number): number {
    return this.#u64(REQUEST_HEADER_BYTES + at);
  }

  /** The name that the arguments begin with. */
  name(): string | Errno {
    const end = this.#bytes.indexOf(0, REQUEST_HEADER_BYTES);
    if (end <= REQUEST_HEADER_BYTES) return ERRNO.EINVAL;
    if (end - REQUEST_HEADER_BYTES > MAX_NAME_BYTES) return ERRNO.ENAMETOOLONG;
    const name = this.#bytes.subarray(REQUEST_HEADER_BYTES, end);
    // A tree's names are text: one that is not cannot be there, and must not turn into another by replacement.
    return isUtf8(name) ? name.toString('utf8') : ERRNO.ENOENT;
  }

  #u64(at: number): number {
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * U32_RANGE;
  }
}
