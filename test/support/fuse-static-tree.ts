// A tree that never changes, but can be told to deny: `hello`, `big` (1 MiB), `link` -> hello, and `many` with 300 files.
import { ERRNO } from '../../fuse/errno.ts';
import type { Attributes, DirectoryEntry, Errno, NodeId, Tree } from '../../fuse/tree.ts';

export const HELLO = Buffer.from('hello, world\n');
export const BIG = Buffer.from(
  Array.from({ length: 1 << 20 }, (_, index) => (index * 7 + (index >> 8)) & 0xff),
);
export const MANY = Array.from({ length: 300 }, (_, index) => `entry-${String(index).padStart(3, '0')}`);
export const NODE = { root: 1, hello: 2, big: 3, link: 4, many: 5, firstOfMany: 1000 } as const;
export const MTIME = 1_700_000_000;

interface Entry extends DirectoryEntry {
  readonly parent: NodeId;
  readonly content: Buffer;
}

const ENTRIES: readonly Entry[] = [
  { parent: NODE.root, node: NODE.hello, name: 'hello', kind: 'file', content: HELLO },
  { parent: NODE.root, node: NODE.big, name: 'big', kind: 'file', content: BIG },
  { parent: NODE.root, node: NODE.link, name: 'link', kind: 'symlink', content: Buffer.from('hello') },
  { parent: NODE.root, node: NODE.many, name: 'many', kind: 'directory', content: Buffer.alloc(0) },
  ...MANY.map((name, index) => ({
    parent: NODE.many,
    node: NODE.firstOfMany + index,
    name,
    kind: 'file' as const,
    content: Buffer.from(name),
  })),
];

const ROOT: Entry = { parent: 0, node: NODE.root, name: '', kind: 'directory', content: Buffer.alloc(0) };

export class StaticTree implements Tree {
  readonly opened = new Set<number>();
  lookups = 0;
  readonly #denies: () => boolean;

  constructor(denies: () => boolean = () => false) {
    this.#denies = denies;
  }

  lookup(parent: NodeId, name: string): Attributes | Errno {
    const entry = ENTRIES.find((candidate) => candidate.parent === parent && candidate.name === name);
    if (entry === undefined || (entry.kind === 'file' && this.#denies())) return ERRNO.ENOENT;
    this.lookups += 1;
    return attributesOf(entry);
  }

  attributes(node: NodeId): Attributes | Errno {
    const entry = find(node);
    return entry ? attributesOf(entry) : ERRNO.ENOENT;
  }

  readlink(node: NodeId): string | Errno {
    const entry = find(node);
    return entry?.kind === 'symlink' ? entry.content.toString() : ERRNO.EINVAL;
  }

  entries(node: NodeId): readonly DirectoryEntry[] | Errno {
    return find(node)?.kind === 'directory'
      ? ENTRIES.filter((entry) => entry.parent === node)
      : ERRNO.ENOTDIR;
  }

  open(node: NodeId): number {
    if (this.#denies()) return ERRNO.EACCES;
    this.opened.add(node);
    return node;
  }

  read(node: NodeId, _handle: number, offset: number, into: Uint8Array): number {
    const part = find(node)?.content.subarray(offset, offset + into.length) ?? Buffer.alloc(0);
    into.set(part);
    // Decided after the copy, like a tree that checks again: nothing of it may get out.
    return this.#denies() ? ERRNO.EACCES : part.length;
  }

  release(node: NodeId): void {
    this.opened.delete(node);
  }

  forget(_node: NodeId, lookups: number): void {
    this.lookups -= lookups;
  }
}

function find(node: NodeId): Entry | undefined {
  return node === NODE.root ? ROOT : ENTRIES.find((entry) => entry.node === node);
}

function attributesOf({ node, kind, content }: Entry): Attributes {
  const mode = kind === 'directory' ? 0o555 : 0o444;
  return { node, kind, size: content.length, mode, uid: 0, gid: 0, mtime: MTIME };
}
