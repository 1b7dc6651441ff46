// A view: the directory that one workload sees, a file for each secret that it is granted. Names stay when the
// lease is over; what is gone from here was never granted or has been revoked. While the server tells watchers, a name
// that arrives is not there for anybody before the kernel has made it, and one that departs is there for the server.
import type { Attributes, DirectoryEntry, Errno } from '../../fuse/tree.ts';
import type { Workload } from '../../manifest/names.ts';
import { SERVER, enter } from '../access.ts';
import type { Denial, Who } from '../access.ts';
import { toErrno } from './errno.ts';
import { ABSENT, directoryAttributes } from './node.ts';
import type { DirectoryNode } from './node.ts';
import type { SecretFile } from './secret-file.ts';

export interface Names {
  readonly shown: readonly SecretFile[];
  readonly arriving: readonly SecretFile[];
  readonly departing: readonly SecretFile[];
}

export class ViewNode implements DirectoryNode {
  readonly node: number;
  readonly workload: Workload;
  readonly #shown: Map<string, SecretFile>;
  readonly #arriving: Map<string, SecretFile>;
  readonly #departing: Map<string, SecretFile>;
  #entries: readonly DirectoryEntry[] | undefined;

  constructor(node: number, workload: Workload, { shown, arriving, departing }: Names) {
    this.node = node;
    this.workload = workload;
    this.#shown = byName(shown);
    this.#arriving = byName(arriving);
    this.#departing = byName(departing);
  }

  attributes(who: Who): Attributes | Errno {
    const denial = enter(who, this.workload);
    return denial ? toErrno(denial, 'name') : directoryAttributes(this.node);
  }

  lookup(name: string, who: Who): Attributes | Errno {
    const file = this.#shown.get(name);
    const answer = file ? file.attributes(who) : (enter(who, this.workload) ?? this.#leaving(name, who));
    return typeof answer === 'string' ? toErrno(answer, 'name') : answer;
  }

  /** Not to be kept: the kernel would show it to everybody, also when the name has come back as another file. */
  #leaving(name: string, who: Who): Attributes | Denial | Errno {
    const file = who === SERVER ? this.#departing.get(name) : undefined;
    const answer = file?.attributes(who) ?? ABSENT;
    return typeof answer === 'object' ? { ...answer, lasting: false } : answer;
  }

  entries(who: Who): readonly DirectoryEntry[] | Errno {
    const denial = enter(who, this.workload);
    if (denial) return toErrno(denial, 'file');
    this.#entries ??= [...this.#shown].map(([name, { served }]) => ({
      node: served.node,
      name,
      kind: 'file',
    }));
    return this.#entries;
  }

  /** The kernel makes a name that arrives. */
  create(name: string): Attributes | Errno {
    const file = this.#arriving.get(name);
    if (!file) return ABSENT;
    this.#arriving.delete(name);
    this.#shown.set(name, file);
    this.#entries = undefined;
    return this.lookup(name, SERVER);
  }

  /** The kernel takes a name away that departs. */
  remove(name: string): number {
    return this.#departing.delete(name) ? 0 : ABSENT;
  }
}

function byName(files: readonly SecretFile[]): Map<string, SecretFile> {
  return new Map(files.map((file) => [file.served.file, file]));
}
