// The tree that the engines serve: finds the node that is meant, the workload that asks, and hands both to the
// kind of node. A new table replaces everything at once; open files live on in it, or are refused by it. Nothing is kept
// for whoever holds something open. Until the first table is settled, what is not there is refused, not absent: it may
// still come, and after a restart callers know names that this server does not yet.
import { ERRNO } from '../../fuse/errno.ts';
import type {
  Attributes,
  Caller,
  DirectoryEntry,
  Done,
  Errno,
  NodeId,
  OwnRequests,
  Tree,
} from '../../fuse/tree.ts';
import type { Workload } from '../../manifest/names.ts';
import { SERVER } from '../access.ts';
import type { Who } from '../access.ts';
import { NODE } from '../node-id.ts';
import { NOTHING_YET } from '../table.ts';
import type { Shown, Table } from '../table.ts';
import { toErrno } from './errno.ts';
import { ABSENT } from './node.ts';
import type { DirectoryNode } from './node.ts';
import { root } from './root.ts';
import { SecretFile } from './secret-file.ts';
import type { SecretFiles } from './secret-file.ts';
import { selfLink, volumeLink } from './self-link.ts';
import type { LinkNode } from './self-link.ts';
import { ViewNode } from './view.ts';
import { viewsNode } from './views.ts';
import { Volumes } from './volumes.ts';

/** Which workload a thread belongs to, by the groups that the table lists. */
export type Identify = (caller: Caller, groups: Table['groups']) => Workload | undefined;

export class SecretTree implements Tree {
  readonly own: OwnRequests;
  readonly #identify: Identify;
  readonly #secretFiles: SecretFiles;
  readonly #volumes = new Volumes();
  #settled = false;
  #groups: Table['groups'] = new Map();
  #directories: ReadonlyMap<NodeId, DirectoryNode> = new Map();
  #views: ReadonlyMap<NodeId, ViewNode> = new Map();
  #files: ReadonlyMap<NodeId, SecretFile> = new Map();
  #departing: ReadonlyMap<NodeId, SecretFile> = new Map();
  /** Who made the request at hand; several questions are about one. */
  #request = -1;
  #asking: Who;

  constructor(identify: Identify, secretFiles: SecretFiles) {
    this.#identify = identify;
    this.#secretFiles = secretFiles;
    this.own = {
      create: (parent, name) => this.#views.get(parent)?.create(name) ?? ABSENT,
      remove: (parent, name) => this.#views.get(parent)?.remove(name) ?? ABSENT,
      rename: (parent, name, to): Done => this.#volumes.volume(parent)?.rename(name, to) ?? ABSENT,
    };
    this.show(NOTHING_YET);
  }

  show({ views, files, groups, settled, arriving, departing }: Shown): void {
    const nodes = new Map(files.map((file) => [file.node, new SecretFile(file)]));
    const leaving = departing.map((file) => new SecretFile(file));
    const named = [...nodes.values()].filter(({ served }) => served.named);
    const [come, stay] = [
      named.filter(({ served }) => arriving.has(served.node)),
      named.filter(({ served }) => !arriving.has(served.node)),
    ].map((some) => Map.groupBy(some, ({ served }) => served.view));
    const go = Map.groupBy(leaving, ({ served }) => served.view);
    const viewNodes = views.map(
      ({ node, workload }) =>
        new ViewNode(node, workload, {
          shown: stay?.get(workload) ?? [],
          arriving: come?.get(workload) ?? [],
          departing: go.get(workload) ?? [],
        }),
    );
    this.#settled = settled;
    this.#request = -1;
    this.#groups = groups;
    this.#files = nodes;
    this.#departing = new Map(leaving.map((file) => [file.served.node, file]));
    this.#views = new Map(viewNodes.map((view) => [view.node, view]));
    this.#directories = new Map<NodeId, DirectoryNode>([
      [NODE.root, root],
      [NODE.views, viewsNode(new Map(viewNodes.map((view) => [view.workload, view])))],
      [NODE.volumes, this.#volumes],
      ...this.#views,
    ]);
    this.#volumes.show({
      // A volume switches as a whole, so none is there before all of it is.
      workloads: settled ? views.map(({ workload }) => workload) : [],
      named: Map.groupBy(named, ({ served }) => served.view),
      isTaken: (node) => this.#files.has(node) || this.#directories.has(node),
    });
  }

  lookup(parent: NodeId, name: string, caller: Caller): Attributes | Errno {
    const who = this.#who(caller);
    return this.#known(this.#directory(parent, who)?.lookup(name, who) ?? ABSENT);
  }

  attributes(node: NodeId, caller: Caller): Attributes | Errno {
    const who = this.#who(caller);
    const file = this.#files.get(node) ?? (who === SERVER ? this.#departing.get(node) : undefined);
    const other = file ?? this.#directory(node, who) ?? this.#link(node, who);
    const answer = other?.attributes(who) ?? 'revoked';
    return typeof answer === 'string' ? toErrno(answer, 'file') : this.#known(answer);
  }

  readlink(node: NodeId, caller: Caller): string | Errno {
    const who = this.#who(caller);
    return this.#known(this.#link(node, who)?.target(who) ?? this.#unless(node, who, ERRNO.EINVAL));
  }

  xattrs(node: NodeId, caller: Caller): ReadonlyMap<string, string> | Errno {
    const who = this.#who(caller);
    const answer = this.#files.get(node)?.xattrs(who) ?? this.#unless(node, who, NO_XATTRS);
    return typeof answer === 'string' ? toErrno(answer, 'file') : answer;
  }

  entries(node: NodeId, caller: Caller): readonly DirectoryEntry[] | Errno {
    // A list that is too short would tell that the rest is gone.
    if (!this.#settled && node !== NODE.root) return ERRNO.EACCES;
    const who = this.#who(caller);
    return this.#directory(node, who)?.entries(who) ?? ABSENT;
  }

  open(node: NodeId, caller: Caller): number {
    const file = this.#files.get(node);
    const answer = file ? this.#secretFiles.open(file, this.#who(caller)) : 'revoked';
    return typeof answer === 'string' ? toErrno(answer, 'file') : answer;
  }

  read(node: NodeId, _handle: number, offset: number, into: Uint8Array, caller: Caller): number {
    const file = this.#files.get(node);
    const answer = file ? this.#secretFiles.read(file, offset, into, this.#who(caller)) : 'revoked';
    return typeof answer === 'string' ? toErrno(answer, 'file') : answer;
  }

  /** Of a file that is gone nothing is counted any more. */
  release(node: NodeId, handle: number): void {
    const file = this.#files.get(node);
    if (file) this.#secretFiles.release(file, handle);
  }

  /** Nodes are derived from the table, so nothing is kept for the kernel's sake. */
  forget(): void {
    return;
  }

  #directory(node: NodeId, who: Who): DirectoryNode | undefined {
    return this.#directories.get(node) ?? this.#volumes.directory(node, who);
  }

  #link(node: NodeId, who: Who): LinkNode | undefined {
    if (node === NODE.self) return selfLink;
    return node === NODE.volume ? volumeLink : this.#volumes.link(node, who);
  }

  /** What another kind of node answers; a node that is gone is refused. */
  #unless<Answer>(node: NodeId, who: Who, other: Answer): Answer | Errno {
    return this.#files.has(node) || this.#directory(node, who) || this.#link(node, who)
      ? other
      : toErrno('revoked', 'file');
  }

  #known<Answer>(answer: Answer | Errno): Answer | Errno {
    return answer === ABSENT && !this.#settled ? ERRNO.EACCES : answer;
  }

  #who(caller: Caller): Who {
    if (caller.request !== this.#request) {
      this.#asking = this.#identify(caller, this.#groups) ?? (caller.own ? SERVER : undefined);
      this.#request = caller.request;
    }
    return this.#asking;
  }
}

const NO_XATTRS: ReadonlyMap<string, string> = new Map();
