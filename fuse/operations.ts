/**
 * What each request of the kernel means to a tree. Whatever would write is answered with EROFS, and whatever is not
 * served (STATX, GETXATTR, POLL, IOCTL, …) with ENOSYS, by which the kernel learns to do without: never OPEN, OPENDIR or
 * ACCESS, which it would then grant unasked. Errors of the tree pass through; the session turns them into a refusal.
 */
import { constants } from 'node:fs';
import { OpenDirectories } from './directories.ts';
import { ERRNO, refusal } from './errno.ts';
import { MAX_READ_BYTES, negotiate } from './negotiation.ts';
import type { Agreement } from './negotiation.ts';
import type { Outcome, Reply } from './reply.ts';
import type { Caller, Tree } from './tree.ts';
import {
  ACCESS_IN,
  BATCH_FORGET_IN,
  FORGET_IN,
  INIT_IN,
  OPCODE,
  OPEN_IN,
  READ_IN,
  RELEASE_IN,
} from './wire.ts';
import type { Request } from './wire.ts';

/** Every read(2) asks us, so a descriptor that is held open loses access, too. */
const FOPEN_DIRECT_IO = 1 << 0;
/** There is nothing to flush: it saves a round trip per close. */
const FOPEN_NOFLUSH = 1 << 5;

const WRITES: ReadonlySet<number> = new Set([
  OPCODE.SETATTR,
  OPCODE.SYMLINK,
  OPCODE.MKNOD,
  OPCODE.MKDIR,
  OPCODE.UNLINK,
  OPCODE.RMDIR,
  OPCODE.RENAME,
  OPCODE.LINK,
  OPCODE.WRITE,
  OPCODE.SETXATTR,
  OPCODE.REMOVEXATTR,
  OPCODE.CREATE,
  OPCODE.FALLOCATE,
  OPCODE.RENAME2,
  OPCODE.COPY_FILE_RANGE,
  OPCODE.TMPFILE,
]);

export class Operations {
  readonly #tree: Tree;
  readonly #reply: Reply;
  readonly #directories = new OpenDirectories();
  readonly #caller: { -readonly [Key in keyof Caller]: Caller[Key] } = { tid: 0, uid: 0, gid: 0 };
  #agreement: Agreement | undefined;
  #giveBack: (() => void) | undefined;

  constructor(tree: Tree, reply: Reply, agreement?: Agreement) {
    this.#tree = tree;
    this.#reply = reply;
    this.#agreement = agreement;
  }

  /** What INIT agreed on. */
  get agreement(): Agreement | undefined {
    return this.#agreement;
  }

  /** Writes the payload of the answer into the reply. */
  answer(request: Request): Outcome {
    this.#giveBack = undefined;
    this.#caller.tid = request.tid;
    this.#caller.uid = request.uid;
    this.#caller.gid = request.gid;
    return request.wellFormed ? this.#dispatch(request) : ERRNO.EINVAL;
  }

  /** Gives back to the tree what the last answer would have handed out, had it arrived: a lookup or a handle. */
  withdraw(): void {
    const giveBack = this.#giveBack;
    this.#giveBack = undefined;
    giveBack?.();
  }

  #dispatch(request: Request): Outcome {
    switch (request.opcode) {
      case OPCODE.INIT:
        return this.#initialise(request);
      case OPCODE.LOOKUP:
        return this.#lookup(request);
      case OPCODE.FORGET:
        return this.#forget(request.node, request.u64(FORGET_IN.lookups));
      case OPCODE.BATCH_FORGET:
        return this.#forgetMany(request);
      case OPCODE.GETATTR:
        return this.#attributes(request);
      case OPCODE.READLINK:
        return this.#readlink(request);
      case OPCODE.OPEN:
        return this.#open(request);
      case OPCODE.READ:
        return this.#read(request);
      case OPCODE.RELEASE:
        return this.#release(request);
      case OPCODE.OPENDIR:
        return this.#openDirectory(request);
      case OPCODE.READDIR:
        return this.#readDirectory(request);
      case OPCODE.RELEASEDIR:
        this.#directories.release(request.u64(RELEASE_IN.handle));
        return 0;
      case OPCODE.ACCESS:
        return this.#access(request);
      case OPCODE.STATFS:
        return this.#reply.statistics();
      case OPCODE.FLUSH:
      case OPCODE.INTERRUPT:
      case OPCODE.DESTROY:
        return 0;
      default:
        return WRITES.has(request.opcode) ? ERRNO.EROFS : ERRNO.ENOSYS;
    }
  }

  #initialise(request: Request): Outcome {
    if (this.#agreement !== undefined) return ERRNO.EINVAL;
    const offer = {
      major: request.u32(INIT_IN.major),
      minor: request.u32(INIT_IN.minor),
      flags: request.u32(INIT_IN.flags),
    };
    const agreed = negotiate(offer);
    if (agreed === 'again') return this.#reply.initialised();
    this.#agreement = agreed;
    return this.#reply.initialised(agreed);
  }

  #lookup(request: Request): Outcome {
    const name = request.name();
    if (typeof name === 'number') return name;
    const found = this.#tree.lookup(request.node, name, this.#caller);
    if (typeof found === 'number') return refusal(found);
    this.#giveBack = () => this.#tree.forget(found.node, 1);
    return this.#reply.entry(found);
  }

  #forget(node: number, lookups: number): 0 {
    this.#tree.forget(node, lookups);
    return 0;
  }

  #forgetMany(request: Request): Outcome {
    const { count, first, node, lookups, stride } = BATCH_FORGET_IN;
    const end = first + request.u32(count) * stride;
    if (end > request.argumentBytes) return ERRNO.EINVAL;
    for (let at = first; at < end; at += stride) {
      this.#forget(request.u64(at + node), request.u64(at + lookups));
    }
    return 0;
  }

  #attributes(request: Request): Outcome {
    const attributes = this.#tree.attributes(request.node, this.#caller);
    return typeof attributes === 'number' ? refusal(attributes) : this.#reply.attributes(attributes);
  }

  #readlink(request: Request): Outcome {
    const target = this.#tree.readlink(request.node, this.#caller);
    return typeof target === 'number' ? refusal(target) : this.#reply.target(target);
  }

  #open(request: Request): Outcome {
    const { O_RDONLY, O_WRONLY, O_RDWR, O_TRUNC } = constants;
    if ((request.u32(OPEN_IN.flags) & (O_WRONLY | O_RDWR | O_TRUNC)) !== O_RDONLY) return ERRNO.EROFS;
    const handle = this.#tree.open(request.node, this.#caller);
    if (!isExact(handle)) return refusal(handle);
    this.#giveBack = () => this.#tree.release(request.node, handle);
    return this.#reply.opened(handle, FOPEN_DIRECT_IO | FOPEN_NOFLUSH);
  }

  #read(request: Request): Outcome {
    const handle = request.u64(READ_IN.handle);
    const offset = request.u64(READ_IN.offset);
    if (!isExact(handle) || !isExact(offset)) return ERRNO.EINVAL;
    const size = Math.min(request.u32(READ_IN.size), MAX_READ_BYTES);
    const count = this.#tree.read(request.node, handle, offset, this.#reply.lend(size), this.#caller);
    if (!isExact(count)) return refusal(count);
    if (count > size) throw new RangeError(`the tree counted ${count} bytes in ${size}`);
    this.#reply.keep(count);
    return count;
  }

  #release(request: Request): Outcome {
    this.#tree.release(request.node, request.u64(RELEASE_IN.handle));
    return 0;
  }

  #openDirectory(request: Request): Outcome {
    const entries = this.#tree.entries(request.node, this.#caller);
    if (typeof entries === 'number') return refusal(entries);
    const handle = this.#directories.open(request.node, entries);
    if (handle < 0) return handle;
    this.#giveBack = () => this.#directories.release(handle);
    return this.#reply.opened(handle, 0);
  }

  #readDirectory(request: Request): Outcome {
    const offset = request.u64(READ_IN.offset);
    if (!isExact(offset)) return ERRNO.EINVAL;
    const size = Math.min(request.u32(READ_IN.size), MAX_READ_BYTES);
    return this.#directories.read(request.u64(READ_IN.handle), offset, size, this.#reply);
  }

  #access(request: Request): Outcome {
    const attributes = this.#tree.attributes(request.node, this.#caller);
    if (typeof attributes === 'number') return refusal(attributes);
    return (request.u32(ACCESS_IN.mask) & constants.W_OK) === 0 ? 0 : ERRNO.EROFS;
  }
}

function isExact(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
