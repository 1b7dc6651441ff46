// The tree that the engines serve: finds the node that is meant, the workload that asks, and hands both to the
// kind of node. A new table replaces everything at once; open files live on in it, or are refused by it.
import { ERRNO } from '../../fuse/errno.ts';
import type { Attributes, Caller, DirectoryEntry, Errno, NodeId, Tree } from '../../fuse/tree.ts';
import type { Workload } from '../../manifest/names.ts';
import { NODE } from '../node-id.ts';
import { EMPTY_TABLE } from '../table.ts';
import type { ServedFile, Table } from '../table.ts';
import { toErrno } from './errno.ts';
import type { DirectoryNode, Who } from './node.ts';
import { root } from './root.ts';
import type { OpenFile, SecretFiles } from './secret-file.ts';
import { selfLink } from './self-link.ts';
import { viewNode } from './view.ts';
import { viewsNode } from './views.ts';

/** Which workload a thread belongs to, by the groups that the table lists. */
export type Identify = (caller: Caller, groups: Table['groups']) => Workload | undefined;

export class SecretTree implements Tree {
  readonly #identify: Identify;
  readonly #secretFiles: SecretFiles;
  readonly #opened = new Map<number, OpenFile>();
  #nextHandle = 1;
  #groups: Table['groups'] = new Map();
  #directories: ReadonlyMap<NodeId, DirectoryNode> = new Map();
  #files: ReadonlyMap<NodeId, ServedFile> = new Map();

  constructor(identify: Identify, secretFiles: SecretFiles) {
    this.#identify = identify;
    this.#secretFiles = secretFiles;
    this.show(EMPTY_TABLE);
  }

  show({ views, files, groups }: Table): void {
    const named = Map.groupBy(
      files.filter((file) => file.named),
      (file) => file.view,
    );
    const nodes = views.map(({ node, workload }) => viewNode(node, workload, named.get(workload) ?? []));
    this.#groups = groups;
    this.#files = new Map(files.map((file) => [file.node, file]));
    this.#directories = new Map<NodeId, DirectoryNode>([
      [NODE.root, root],
      [NODE.views, viewsNode(new Map(nodes.map((view) => [view.workload, view])))],
      ...nodes.map((view) => [view.node, view] as const),
    ]);
  }

  lookup(parent: NodeId, name: string, caller: Caller): Attributes | Errno {
    return this.#directories.get(parent)?.lookup(name, this.#who(caller)) ?? ERRNO.ENOENT;
  }

  attributes(node: NodeId, caller: Caller): Attributes | Errno {
    const who = this.#who(caller);
    if (node === NODE.self) return selfLink.attributes(who);
    const directory = this.#directories.get(node);
    if (directory) return directory.attributes(who);
    const file = this.#files.get(node);
    const answer = file ? this.#secretFiles.attributes(file, who) : 'revoked';
    return typeof answer === 'string' ? toErrno(answer, 'file') : answer;
  }

  readlink(node: NodeId, caller: Caller): string | Errno {
    return node === NODE.self ? selfLink.target(this.#who(caller)) : ERRNO.EINVAL;
  }

  entries(node: NodeId, caller: Caller): readonly DirectoryEntry[] | Errno {
    return this.#directories.get(node)?.entries(this.#who(caller)) ?? ERRNO.ENOENT;
  }

  open(node: NodeId, caller: Caller): number {
    const file = this.#files.get(node);
    const answer = file ? this.#secretFiles.open(file, this.#who(caller)) : 'revoked';
    if (typeof answer === 'string') return toErrno(answer, 'file');
    const handle = this.#nextHandle++;
    this.#opened.set(handle, answer);
    return handle;
  }

  read(node: NodeId, handle: number, offset: number, into: Uint8Array, caller: Caller): number {
    const opened = this.#opened.get(handle);
    if (opened?.node !== node) return ERRNO.EACCES;
    const answer = this.#secretFiles.read(this.#files.get(node), opened, offset, into, this.#who(caller));
    return typeof answer === 'string' ? toErrno(answer, 'file') : answer;
  }

  release(_node: NodeId, handle: number): void {
    const opened = this.#opened.get(handle);
    if (opened) this.#secretFiles.release(opened);
    this.#opened.delete(handle);
  }

  /** Nodes are derived from the table, so nothing is kept for the kernel's sake. */
  forget(): void {
    return;
  }

  #who(caller: Caller): Who {
    return this.#identify(caller, this.#groups);
  }
}
