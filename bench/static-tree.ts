// The tree that `bench -- read` serves, and bench/reference/hello.c in C: files of several sizes, and `many`, a directory
// of 1,000. It never changes, so whatever it says may last; whether it says so, whoever makes it decides.
import { ERRNO } from '../fuse/errno.ts';
import type { Attributes, DirectoryEntry, Errno, NodeId, Tree } from '../fuse/tree.ts';

export const DIRECTORY = 'many';
export const ENTRIES = 1000;
const NODE = { root: 1, many: 2, firstFile: 3, firstOfMany: 1000 } as const;
const MTIME = 1_700_000_000;

export const FILES: ReadonlyMap<string, Buffer> = new Map([
  ['hello', Buffer.from('hello, world\n')],
  ['1KiB', patterned(1 << 10)],
  ['4KiB', patterned(1 << 12)],
  ['64KiB', patterned(1 << 16)],
  ['1MiB', patterned(1 << 20)],
]);

export const MANY: readonly DirectoryEntry[] = Array.from({ length: ENTRIES }, (_, index) => ({
  node: NODE.firstOfMany + index,
  name: `entry-${String(index).padStart(3, '0')}`,
  kind: 'file',
}));

export class StaticTree implements Tree {
  readonly #named = new Map<NodeId, Map<string, Attributes>>();
  readonly #byNode = new Map<NodeId, Attributes>();
  readonly #content = new Map<NodeId, Buffer>();

  /** Lasting: the kernel may keep names and attributes. */
  constructor(lasting: boolean) {
    const common = { uid: 0, gid: 0, mtime: MTIME, lasting };
    const directory = { ...common, kind: 'directory', size: 0, mode: 0o555 } as const;
    const file = { ...common, kind: 'file', size: 0, mode: 0o444 } as const;
    this.#byNode.set(NODE.root, { ...directory, node: NODE.root });
    this.#add(NODE.root, DIRECTORY, { ...directory, node: NODE.many });
    for (const { node, name } of MANY) this.#add(NODE.many, name, { ...file, node });
    for (const [index, [name, content]] of [...FILES].entries()) {
      const node = NODE.firstFile + index;
      this.#add(NODE.root, name, { ...file, node, size: content.length });
      this.#content.set(node, content);
    }
  }

  lookup(parent: NodeId, name: string): Attributes | Errno {
    return this.#named.get(parent)?.get(name) ?? ERRNO.ENOENT;
  }

  attributes(node: NodeId): Attributes | Errno {
    return this.#byNode.get(node) ?? ERRNO.ENOENT;
  }

  readlink(): Errno {
    return ERRNO.EINVAL;
  }

  entries(node: NodeId): readonly DirectoryEntry[] | Errno {
    return node === NODE.many ? MANY : ERRNO.ENOTDIR;
  }

  open(node: NodeId): number {
    return this.#content.has(node) ? node : ERRNO.EISDIR;
  }

  read(node: NodeId, _handle: number, offset: number, into: Uint8Array): number {
    const content = this.#content.get(node);
    return content === undefined ? ERRNO.EISDIR : content.copy(into, 0, offset, offset + into.length);
  }

  release(): void {
    // Nothing is kept for an open file.
  }

  forget(): void {
    // Every node stays.
  }

  #add(parent: NodeId, name: string, attributes: Attributes): void {
    const names = this.#named.get(parent) ?? new Map<string, Attributes>();
    this.#named.set(parent, names.set(name, attributes));
    this.#byNode.set(attributes.node, attributes);
  }
}

function patterned(size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, index) => (index * 7 + (index >> 8)) & 0xff));
}
