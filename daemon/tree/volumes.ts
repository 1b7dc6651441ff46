// `v`: the directory of volumes, and the way to everything below it. Each caller finds its own volume there, and nobody
// else's; what is inside is found for its own workload only, so a descriptor that was passed on leads nowhere. A
// volume's names are hashed when its workload looks: a new table costs a reader nothing that uses none.
import type { Attributes, DirectoryEntry, Errno, NodeId } from '../../fuse/tree.ts';
import type { Workload } from '../../manifest/names.ts';
import { enter } from '../access.ts';
import type { Who } from '../access.ts';
import { NODE } from '../node-id.ts';
import { toErrno } from './errno.ts';
import { ABSENT, directoryAttributes } from './node.ts';
import type { DirectoryNode } from './node.ts';
import type { SecretFile } from './secret-file.ts';
import type { LinkNode } from './self-link.ts';
import { Volume } from './volume.ts';

export interface Volumed {
  readonly workloads: readonly Workload[];
  /** The files that bear a name, arriving ones too. */
  readonly named: ReadonlyMap<Workload, readonly SecretFile[]>;
  /** Whether a file or a view has this node. */
  readonly isTaken: (node: NodeId) => boolean;
}

export class Volumes implements DirectoryNode {
  #byWorkload: ReadonlyMap<Workload, Volume> = new Map();
  #byNode: ReadonlyMap<NodeId, Volume> = new Map();

  /** Replaces everything at once. */
  show({ workloads, named, isTaken }: Volumed): void {
    const earlier = this.#byWorkload;
    const volumes = workloads.map(
      (workload) => new Volume(workload, named.get(workload) ?? [], isTaken, earlier.get(workload)),
    );
    this.#byWorkload = new Map(volumes.map((volume) => [volume.workload, volume]));
    this.#byNode = new Map(volumes.map((volume) => [volume.node, volume]));
  }

  attributes(): Attributes {
    return { ...directoryAttributes(NODE.volumes), lasting: true };
  }

  lookup(name: string, who: Who): Attributes | Errno {
    const denial = enter(who, name as Workload);
    if (denial) return toErrno(denial, 'name');
    return this.#byWorkload.get(name as Workload)?.attributes(who) ?? ABSENT;
  }

  entries(who: Who): readonly DirectoryEntry[] {
    const own = this.#own(who);
    return own ? [{ node: own.node, name: own.workload, kind: 'directory' }] : [];
  }

  /** A volume, or the generation inside the caller's own. */
  directory(node: NodeId, who: Who): DirectoryNode | undefined {
    return this.#byNode.get(node) ?? this.#own(who)?.inside(node);
  }

  /** For the server's own request. */
  volume(node: NodeId): Volume | undefined {
    return this.#byNode.get(node);
  }

  /** A link in the caller's own volume. */
  link(node: NodeId, who: Who): LinkNode | undefined {
    return this.#own(who)?.link(node);
  }

  #own(who: Who): Volume | undefined {
    return typeof who === 'string' ? this.#byWorkload.get(who) : undefined;
  }
}
