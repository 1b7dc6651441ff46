/**
 * The directories that callers hold open, each with the entries it had when it was opened, so that paging through one
 * neither skips nor repeats. Bounded twice, since callers decide how many they open. An entry that the kernel would
 * answer with EIO is the tree's mistake and is thrown at opening.
 */
import { ERRNO } from './errno.ts';
import type { Outcome, Reply } from './reply.ts';
import type { DirectoryEntry, NodeId } from './tree.ts';
import { MAX_NAME_BYTES } from './wire.ts';

const MAX_OPEN = 4096;
const MAX_ENTRIES = 65_536;
/** What libfuse says for a directory's parent, too: nobody but getdents shows it, and we do not know it. */
const UNKNOWN_NODE = 0xffff_ffff;

export class OpenDirectories {
  readonly #open = new Map<number, readonly DirectoryEntry[]>();
  #lastHandle = 0;

  /** A handle, or an errno. */
  open(node: NodeId, entries: readonly DirectoryEntry[]): number {
    if (this.#open.size >= MAX_OPEN) return ERRNO.ENFILE;
    if (entries.length > MAX_ENTRIES) return ERRNO.EOVERFLOW;
    for (const { name } of entries) {
      if (!isEntryName(name))
        throw new TypeError(`not the name of a directory entry: ${JSON.stringify(name)}`);
    }
    this.#lastHandle += 1;
    const dot: DirectoryEntry = { node, name: '.', kind: 'directory' };
    const dotDot: DirectoryEntry = { node: UNKNOWN_NODE, name: '..', kind: 'directory' };
    this.#open.set(this.#lastHandle, [dot, dotDot, ...entries]);
    return this.#lastHandle;
  }

  /** Writes the entries from `offset` on, as many as fit into `size`; an offset is the index of the next entry. */
  read(handle: number, offset: number, size: number, reply: Reply): Outcome {
    const entries = this.#open.get(handle);
    if (entries === undefined) return ERRNO.EBADF;
    let length = 0;
    let next = offset;
    for (let entry = entries[next]; entry !== undefined; entry = entries[next]) {
      next += 1;
      const end = reply.directoryEntry(length, size, entry, next);
      if (end === length) return length > 0 ? length : ERRNO.EINVAL;
      length = end;
    }
    return length;
  }

  release(handle: number): void {
    this.#open.delete(handle);
  }
}

function isEntryName(name: string): boolean {
  const length = Buffer.byteLength(name);
  return length > 0 && length <= MAX_NAME_BYTES && !/[/\0]/.test(name);
}
