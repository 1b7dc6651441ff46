// A volume: a view in the style of Kubernetes. `..data` leads to the directory `..GEN`, and the link of each name leads
// through it to the file, so all files of a workload switch at once. GEN is a hash of what is in it: the same files give
// the same name, after a restart too, and when anything changes the old name is gone. The kernel keeps nothing of it but
// what is inside `..GEN`, where no name ever leads elsewhere. File names do not begin with `..` (manifest/names.ts).
// Only the server sees `..data_tmp`; it renames it to `..data`, by which watchers hear of the switch. The generation before
// is stale rather than absent: the kernel then walks the path once more, from its start, so a reader that is between
// `..data` and the file when it switches finds the new file and sees no error.
import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import type { Attributes, DirectoryEntry, Done, Errno, NodeId } from '../../fuse/tree.ts';
import type { FileName, Workload } from '../../manifest/names.ts';
import { SERVER, enter } from '../access.ts';
import type { Who } from '../access.ts';
import { dataNode, dataTmpNode, generationNode, nameNode, volumeNode } from '../node-id.ts';
import type { ServedFile } from '../table.ts';
import { toErrno } from './errno.ts';
import { ABSENT, directoryAttributes, linkAttributes } from './node.ts';
import type { DirectoryNode } from './node.ts';
import type { SecretFile } from './secret-file.ts';
import type { LinkNode } from './self-link.ts';
import { ViewNode } from './view.ts';

export const DATA = '..data';
export const DATA_TMP = '..data_tmp';

const DIGITS = 16;
const STALE: Errno = -constants.errno.ESTALE;
const staleDirectory: DirectoryNode = { attributes: () => STALE, lookup: () => STALE, entries: () => STALE };

/** Every generation's name is as long, so a link's size needs no hash. */
const PLACEHOLDER = `..${'0'.repeat(DIGITS)}`;

/** The name of a generation: equal exactly when the same names lead to the same files, owners and modes. */
export function generationOf(files: readonly ServedFile[]): string {
  const lines = files.map(({ file, node, uid, gid, mode }) => [file, node, uid, gid, mode].join('\0'));
  const digest = createHash('sha256').update(lines.sort().join('\n')).digest('hex');
  return `..${digest.slice(0, DIGITS)}`;
}

/** What takes a hash over every name, and is made when somebody looks. */
interface Contents {
  readonly generation: string;
  readonly inside: ViewNode;
  readonly staleNode: NodeId | undefined;
  readonly nameNodes: ReadonlyMap<FileName, NodeId>;
  readonly links: ReadonlyMap<NodeId, LinkNode>;
  readonly entries: readonly DirectoryEntry[];
}

export class Volume implements DirectoryNode {
  readonly node: NodeId;
  readonly workload: Workload;
  readonly #files: readonly SecretFile[];
  readonly #isTaken: (node: NodeId) => boolean;
  readonly #knownNodes: ReadonlyMap<FileName, NodeId>;
  /** The generation that was there last, and that somebody may be on the way through. */
  readonly #stale: string | undefined;
  #contents: Contents | undefined;

  /**
   * `files`: those that bear a name. `isTaken`: whether a file or a view has this node; a link that would share one is
   * left out. `earlier`: this workload's volume in the table before, so that nothing is hashed twice.
   */
  constructor(
    workload: Workload,
    files: readonly SecretFile[],
    isTaken: (node: NodeId) => boolean,
    earlier?: Volume,
  ) {
    this.node = earlier?.node ?? volumeNode(workload);
    this.workload = workload;
    this.#files = files;
    this.#isTaken = isTaken;
    this.#knownNodes = earlier?.nameNodes ?? new Map<FileName, NodeId>();
    this.#stale = earlier?.lastSeen;
  }

  /** The generation that somebody saw last. */
  get lastSeen(): string | undefined {
    return this.#contents?.generation ?? this.#stale;
  }

  get nameNodes(): ReadonlyMap<FileName, NodeId> {
    return this.#contents?.nameNodes ?? this.#knownNodes;
  }

  attributes(who: Who): Attributes | Errno {
    const denial = enter(who, this.workload);
    return denial ? toErrno(denial, 'name') : directoryAttributes(this.node);
  }

  lookup(name: string, who: Who): Attributes | Errno {
    const denial = enter(who, this.workload);
    if (denial) return toErrno(denial, 'name');
    if (name === DATA) return linkAttributes(dataNode(this.workload), PLACEHOLDER);
    if (name === DATA_TMP) return who === SERVER ? this.#tmp() : ABSENT;
    const { generation, inside, nameNodes } = this.#look();
    if (name === generation) return inside.attributes(who);
    if (name === this.#stale) return STALE;
    const node = nameNodes.get(name as FileName);
    return node === undefined ? ABSENT : linkAttributes(node, targetOf(name));
  }

  entries(who: Who): readonly DirectoryEntry[] | Errno {
    const denial = enter(who, this.workload);
    return denial ? toErrno(denial, 'file') : this.#look().entries;
  }

  /** The kernel puts `..data_tmp` in the place of `..data`. Both lead to the same; only watchers learn something. */
  rename(name: string, to: string): Done {
    return name === DATA_TMP && to === DATA ? 0 : ABSENT;
  }

  /** The directory `..GEN`, or the one before, if that is its node. */
  inside(node: NodeId): DirectoryNode | undefined {
    const { inside, staleNode } = this.#look();
    if (node === inside.node) return inside;
    return node === staleNode ? staleDirectory : undefined;
  }

  link(node: NodeId): LinkNode | undefined {
    return this.#look().links.get(node);
  }

  #look(): Contents {
    return (this.#contents ??= this.#make());
  }

  #make(): Contents {
    const { workload } = this;
    const generation = generationOf(this.#files.map(({ served }) => served));
    const names = { shown: this.#files, arriving: [], departing: [] };
    const inside = new ViewNode(generationNode(workload, generation), workload, names);
    const nameNodes = this.#hashNames();
    const data = dataNode(workload);
    return {
      ...{ generation, inside, nameNodes },
      staleNode: this.#stale === undefined ? undefined : generationNode(workload, this.#stale),
      links: new Map([
        [data, linkIn(workload, data, generation)],
        ...nameNodes.entries().map(([name, node]) => [node, linkIn(workload, node, targetOf(name))] as const),
      ]),
      entries: [
        { node: data, name: DATA, kind: 'symlink' },
        { node: inside.node, name: generation, kind: 'directory' },
        ...nameNodes.entries().map(([name, node]) => ({ node, name, kind: 'symlink' }) as const),
      ],
    };
  }

  #hashNames(): ReadonlyMap<FileName, NodeId> {
    const known = this.#knownNodes;
    const nodes = this.#files.map(
      ({ served: { file } }) => [file, known.get(file) ?? nameNode(this.workload, file)] as const,
    );
    return new Map(nodes.filter(([, node]) => !this.#isTaken(node)));
  }

  #tmp(): Attributes {
    return linkAttributes(dataTmpNode(this.workload), PLACEHOLDER);
  }
}

function targetOf(name: string): string {
  return `${DATA}/${name}`;
}

function linkIn(workload: Workload, node: NodeId, target: string): LinkNode {
  const refusal = (who: Who): Errno | undefined => {
    const denial = enter(who, workload);
    return denial && toErrno(denial, 'name');
  };
  return {
    attributes: (who) => refusal(who) ?? linkAttributes(node, target),
    target: (who) => refusal(who) ?? target,
  };
}
