// The tree of the held test server. What it does is switched by files in a control directory, which outlive a server as
// everything else here must: a handle is the node, and the bytes follow from node and position.
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ERRNO } from '../../fuse/errno.ts';
import type { Attributes, DirectoryEntry, Errno, NodeId, Tree } from '../../fuse/tree.ts';

export const FILE_BYTES = 8192;
/** Node 10 is a line feed in the message that withdraws it. */
export const NODE = { root: 1, steady: 2, slow: 3, unlisted: 4, odd: 10, firstOfMany: 2 ** 40 } as const;
export const MANY = Array.from({ length: 10 }, (_, index) => `many-${index}`);

/** What `slow` needs for a read, in milliseconds. */
const SLOW_MS = 20;

/**
 * `revoked-NAME`: that file is refused. `stick-…`: the thread that notices goes into an endless loop. The rest says what
 * a server does that resumes, or comes next, or is to yield.
 */
export type Switch =
  | `revoked-${string}`
  | 'stick-main'
  | 'stick-thread'
  | 'resume-lapsed'
  | 'resume-crash'
  | 'resume-cannot'
  | 'resume-never-ready'
  | 'next-never-ready'
  | 'never-yield'
  | 'no-resend';

export function isOn(control: string, name: Switch): boolean {
  return existsSync(join(control, name));
}

/** True for the one that notices. */
export function takes(control: string, name: Switch): boolean {
  const on = isOn(control, name);
  if (on) rmSync(join(control, name));
  return on;
}

const FILES: readonly DirectoryEntry[] = [
  ...(['steady', 'slow', 'unlisted', 'odd'] as const).map((name) => ({ name, node: NODE[name] })),
  ...MANY.map((name, index) => ({ name, node: NODE.firstOfMany + index })),
].map((entry) => ({ ...entry, kind: 'file' as const }));

export const LISTED = FILES.map(({ node }) => node).filter((node) => node !== NODE.unlisted);

export function byteAt(node: NodeId, position: number): number {
  return (position * 7 + (position >> 8) + node) & 0xff;
}

export class HoldTree implements Tree {
  readonly #control: string;
  readonly #resumed: boolean;

  constructor(control: string, resumed: boolean) {
    this.#control = control;
    this.#resumed = resumed;
  }

  lookup(parent: NodeId, name: string): Attributes | Errno {
    const entry = parent === NODE.root ? FILES.find((file) => file.name === name) : undefined;
    if (takes(this.#control, 'stick-thread')) for (;;);
    return entry && !this.#refuses(entry) ? attributesOf(entry.node) : ERRNO.ENOENT;
  }

  attributes(node: NodeId): Attributes {
    return attributesOf(node);
  }

  readlink(): Errno {
    return ERRNO.EINVAL;
  }

  entries(node: NodeId): readonly DirectoryEntry[] | Errno {
    return node === NODE.root ? FILES : ERRNO.ENOTDIR;
  }

  open(node: NodeId): number {
    return this.#refuses(nodeEntry(node)) ? ERRNO.EACCES : node;
  }

  read(node: NodeId, handle: number, offset: number, into: Uint8Array): number {
    if (handle !== node) return ERRNO.EBADF;
    if (node === NODE.slow) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SLOW_MS);
    if (this.#refuses(nodeEntry(node))) return ERRNO.EACCES;
    const count = Math.max(0, Math.min(into.length, FILE_BYTES - offset));
    for (let i = 0; i < count; i += 1) into[i] = byteAt(node, offset + i);
    return count;
  }

  release(): void {
    // A handle is no resource.
  }

  forget(): void {
    // Nor is a lookup.
  }

  #refuses(entry: DirectoryEntry | undefined): boolean {
    if (entry === undefined) return true;
    const lapsed = this.#resumed && isOn(this.#control, 'resume-lapsed');
    return lapsed || isOn(this.#control, `revoked-${entry.name}`);
  }
}

function nodeEntry(node: NodeId): DirectoryEntry | undefined {
  return FILES.find((file) => file.node === node);
}

function attributesOf(node: NodeId): Attributes {
  const mtime = 1_700_000_000;
  return node === NODE.root
    ? { node, kind: 'directory', size: 0, mode: 0o555, uid: 0, gid: 0, mtime }
    : { node, kind: 'file', size: FILE_BYTES, mode: 0o444, uid: 0, gid: 0, mtime };
}
