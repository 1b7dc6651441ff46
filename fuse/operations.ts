/**
 * What each request of the kernel means to a tree. What is not served (IOCTL, LSEEK, BMAP, …) is answered with ENOSYS, by
 * which the kernel learns to do without: never OPEN, OPENDIR or ACCESS, which it would then grant unasked. Whatever would
 * write goes to own-operations.ts. Errors of the tree pass through; the session turns them into a refusal.
 */
import { constants } from 'node:fs';
import { RequestCaller } from './caller.ts';
import { list } from './directories.ts';
import { ERRNO, refusal } from './errno.ts';
import { MAX_READ_BYTES, negotiate } from './negotiation.ts';
import type { Agreement } from './negotiation.ts';
import { isWrite, OwnOperations, OWN_HANDLE } from './own-operations.ts';
import { permits } from './permission.ts';
import { FOPEN } from './reply.ts';
import type { Outcome, Reply } from './reply.ts';
import type { Attributes, DirectoryEntry, NodeId, Tree } from './tree.ts';
import {
  ACCESS_IN,
  BATCH_FORGET_IN,
  FORGET_IN,
  INIT_IN,
  OPCODE,
  OPEN_IN,
  READ_IN,
  RELEASE_IN,
  XATTR_IN,
} from './wire.ts';
import type { Request } from './wire.ts';

const { O_RDONLY, O_WRONLY, O_RDWR, O_TRUNC, R_OK, W_OK } = constants;

export class Operations {
  readonly #tree: Tree;
  readonly #reply: Reply;
  readonly #own: OwnOperations;
  readonly #caller = new RequestCaller();
  #agreement: Agreement | undefined;
  /** What the answer under way hands out, to be given back if it does not arrive: the first `#lookups` of `#looked`. */
  readonly #looked: NodeId[] = [];
  #lookups = 0;
  #handle = -1;

  constructor(tree: Tree, reply: Reply, agreement?: Agreement) {
    this.#tree = tree;
    this.#reply = reply;
    this.#own = new OwnOperations(tree, reply);
    this.#agreement = agreement;
  }

  /** What INIT agreed on. */
  get agreement(): Agreement | undefined {
    return this.#agreement;
  }

  /** Writes the payload of the answer into the reply. */
  answer(request: Request): Outcome {
    this.#lookups = 0;
    this.#handle = -1;
    this.#caller.load(request);
    return request.wellFormed ? this.#dispatch(request) : ERRNO.EINVAL;
  }

  /** Gives back to the tree what the last answer would have handed out, had it arrived: lookups, or a handle. */
  withdraw(request: Request): void {
    const looked = this.#looked.slice(0, this.#lookups);
    const handle = this.#handle;
    this.#lookups = 0;
    this.#handle = -1;
    for (const node of looked) this.#tree.forget(node, 1);
    if (handle >= 0) this.#tree.release(request.node, handle);
  }

  #dispatch(request: Request): Outcome {
    switch (request.opcode) {
      case OPCODE.LOOKUP:
        return this.#lookup(request);
      case OPCODE.OPEN:
        return this.#open(request);
      case OPCODE.READ:
        return this.#read(request);
      case OPCODE.RELEASE:
        return this.#release(request);
      case OPCODE.GETATTR:
      case OPCODE.STATX:
        return this.#attributes(request);
      case OPCODE.READLINK:
        return this.#readlink(request);
      case OPCODE.FORGET:
        return this.#forget(request.node, request.u64(FORGET_IN.lookups));
      case OPCODE.BATCH_FORGET:
        return this.#forgetMany(request);
      case OPCODE.OPENDIR:
        return this.#openDirectory(request);
      case OPCODE.READDIR:
      case OPCODE.READDIRPLUS:
        return this.#readDirectory(request);
      case OPCODE.ACCESS:
        return this.#access(request);
      case OPCODE.GETXATTR:
      case OPCODE.LISTXATTR:
        return this.#xattr(request);
      case OPCODE.INIT:
        return this.#initialise(request);
      case OPCODE.STATFS:
        return this.#reply.statistics();
      case OPCODE.POLL:
        return this.#reply.readable();
      case OPCODE.RELEASEDIR:
      case OPCODE.FLUSH:
      case OPCODE.FSYNC:
      case OPCODE.FSYNCDIR:
      case OPCODE.INTERRUPT:
      case OPCODE.DESTROY:
        return 0;
      default:
        return isWrite(request.opcode) ? this.#own.answer(request, this.#caller) : ERRNO.ENOSYS;
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
    this.#handOut(found.node);
    return this.#reply.entry(found);
  }

  #forget(node: number, lookups: number): 0 {
    if (isExact(node) && isExact(lookups)) this.#tree.forget(node, lookups);
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
    if (typeof attributes === 'number') return refusal(attributes);
    return request.opcode === OPCODE.STATX
      ? this.#reply.statx(attributes)
      : this.#reply.attributes(attributes);
  }

  #readlink(request: Request): Outcome {
    const target = this.#tree.readlink(request.node, this.#caller);
    return typeof target === 'number' ? refusal(target) : this.#reply.target(target);
  }

  /** Whether the caller may have the file at all comes first, so that owner and mode say nothing to strangers. */
  #open(request: Request): Outcome {
    if ((request.u32(OPEN_IN.flags) & (O_WRONLY | O_RDWR | O_TRUNC)) !== O_RDONLY)
      return this.#own.answer(request, this.#caller);
    const denied = this.#denied(request.node, R_OK);
    if (denied !== 0) return denied;
    const handle = this.#tree.open(request.node, this.#caller);
    if (!isExact(handle) || handle >= OWN_HANDLE) return refusal(handle);
    this.#handle = handle;
    return this.#reply.opened(handle, FOPEN.DIRECT_IO | FOPEN.NOFLUSH);
  }

  #read(request: Request): Outcome {
    const handle = request.u64(READ_IN.handle);
    const offset = request.u64(READ_IN.offset);
    if (!isExact(handle) || !isExact(offset)) return ERRNO.EINVAL;
    if (handle === OWN_HANDLE) return ERRNO.EBADF;
    const size = Math.min(request.u32(READ_IN.size), MAX_READ_BYTES);
    const count = this.#tree.read(request.node, handle, offset, this.#reply.lend(size), this.#caller);
    if (!isExact(count)) return refusal(count);
    if (count > size) throw new RangeError(`the tree counted ${count} bytes in ${size}`);
    this.#reply.keep(count);
    return count;
  }

  #release(request: Request): Outcome {
    const handle = request.u64(RELEASE_IN.handle);
    if (!isExact(handle)) return ERRNO.EINVAL;
    if (handle !== OWN_HANDLE) this.#tree.release(request.node, handle);
    return 0;
  }

  #openDirectory(request: Request): Outcome {
    const entries = this.#tree.entries(request.node, this.#caller);
    return typeof entries === 'number' ? refusal(entries) : this.#reply.opened(0, 0);
  }

  #readDirectory(request: Request): Outcome {
    const offset = request.u64(READ_IN.offset);
    if (!isExact(offset)) return ERRNO.EINVAL;
    const entries = this.#tree.entries(request.node, this.#caller);
    if (typeof entries === 'number') return refusal(entries);
    const size = Math.min(request.u32(READ_IN.size), MAX_READ_BYTES);
    const find = (entry: DirectoryEntry): Attributes | 'nothing' => this.#find(request.node, entry);
    const plus = request.opcode === OPCODE.READDIRPLUS;
    return list(request.node, entries, offset, size, this.#reply, plus ? find : undefined);
  }

  /** Only what the kernel may keep is worth handing out unasked. */
  #find(parent: NodeId, { name }: DirectoryEntry): Attributes | 'nothing' {
    const found = this.#tree.lookup(parent, name, this.#caller);
    if (typeof found === 'number') return 'nothing';
    if (found.lasting === true) {
      this.#handOut(found.node);
      return found;
    }
    this.#tree.forget(found.node, 1);
    return 'nothing';
  }

  #handOut(node: NodeId): void {
    this.#looked[this.#lookups] = node;
    this.#lookups += 1;
  }

  #access(request: Request): Outcome {
    const mask = request.u32(ACCESS_IN.mask);
    const denied = this.#denied(request.node, mask & ~W_OK);
    if (denied !== 0) return denied;
    return (mask & W_OK) === 0 ? 0 : ERRNO.EROFS;
  }

  #denied(node: NodeId, mask: number): Outcome {
    const attributes = this.#tree.attributes(node, this.#caller);
    if (typeof attributes === 'number') return refusal(attributes);
    return permits(attributes, this.#caller, mask) ? 0 : ERRNO.EACCES;
  }

  #xattr(request: Request): Outcome {
    const all = this.#tree.xattrs?.(request.node, this.#caller) ?? NO_XATTRS;
    if (typeof all === 'number') return refusal(all);
    const size = request.u32(XATTR_IN.size);
    if (request.opcode === OPCODE.LISTXATTR)
      return this.#reply.xattr([...all.keys()].map((name) => `${name}\0`).join(''), size);
    const name = request.name(XATTR_IN.name);
    if (typeof name === 'number') return name;
    const value = all.get(name);
    return value === undefined ? ERRNO.ENODATA : this.#reply.xattr(value, size);
  }
}

const NO_XATTRS: ReadonlyMap<string, string> = new Map();

function isExact(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
