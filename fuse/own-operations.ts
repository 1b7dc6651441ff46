/**
 * Requests that write. Nothing is ever written: everybody gets EROFS, but for the server's own process, which asks through
 * its private mount so that the kernel tells whoever watches (inotify): it truncates a file to the size that it has
 * (IN_MODIFY, IN_CLOSE_WRITE), makes a name that the tree is about to show (IN_CREATE), unlinks one that goes
 * (IN_DELETE), and renames one over another (IN_MOVED_TO). The tree agrees to each (tree.ts, OwnRequests).
 */
import { ERRNO, refusal } from './errno.ts';
import { FOPEN } from './reply.ts';
import type { Outcome, Reply } from './reply.ts';
import type { Caller, Done, OwnRequests, Tree } from './tree.ts';
import { CREATE_IN, OPCODE, RENAME_IN, RENAME2_IN } from './wire.ts';
import type { Request } from './wire.ts';

/** What the server's own descriptors for writing have as a handle: they read and write nothing. */
export const OWN_HANDLE = 2 ** 52;

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

export function isWrite(opcode: number): boolean {
  return WRITES.has(opcode);
}

export class OwnOperations {
  readonly #tree: Tree;
  readonly #reply: Reply;

  constructor(tree: Tree, reply: Reply) {
    this.#tree = tree;
    this.#reply = reply;
  }

  answer(request: Request, caller: Caller): Outcome {
    const own = this.#tree.own;
    if (own === undefined || !caller.own) return ERRNO.EROFS;
    switch (request.opcode) {
      case OPCODE.OPEN:
      case OPCODE.SETATTR:
        return this.#touch(request, caller);
      case OPCODE.CREATE:
        return this.#create(request, own);
      case OPCODE.UNLINK: {
        const name = request.name();
        return typeof name === 'number' ? name : done(own.remove(request.node, name));
      }
      case OPCODE.RENAME:
        return rename(request, own, RENAME_IN);
      case OPCODE.RENAME2:
        return rename(request, own, RENAME2_IN);
      default:
        return ERRNO.EROFS;
    }
  }

  /** A descriptor for writing, or attributes that are said to have changed. */
  #touch(request: Request, caller: Caller): Outcome {
    const attributes = this.#tree.attributes(request.node, caller);
    if (typeof attributes === 'number') return refusal(attributes);
    // Not to be kept: the file may be gone for everybody else.
    if (request.opcode === OPCODE.SETATTR) return this.#reply.attributes({ ...attributes, lasting: false });
    return this.#reply.opened(OWN_HANDLE, FOPEN.DIRECT_IO | FOPEN.NOFLUSH);
  }

  #create(request: Request, own: OwnRequests): Outcome {
    const name = request.name(CREATE_IN.name);
    if (typeof name === 'number') return name;
    const attributes = own.create(request.node, name);
    if (typeof attributes === 'number') return refusal(attributes);
    return this.#reply.created(attributes, OWN_HANDLE, FOPEN.DIRECT_IO | FOPEN.NOFLUSH);
  }
}

function rename(request: Request, own: OwnRequests, { directory, names }: Layout): Outcome {
  const from = request.name(names);
  if (typeof from === 'number') return from;
  const to = request.name(request.nextName(names));
  if (typeof to === 'number') return to;
  // From one directory into another: no tree has a use for that.
  if (request.u64(directory) !== request.node) return ERRNO.EROFS;
  return done(own.rename(request.node, from, to));
}

interface Layout {
  readonly directory: number;
  readonly names: number;
}

function done(outcome: Done): Outcome {
  return outcome === 0 ? 0 : refusal(outcome);
}
