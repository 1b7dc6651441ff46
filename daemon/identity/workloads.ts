// The workloads on this host: which control group is which. A group below a registered one belongs to it too (a
// container may make groups of its own); the longest match wins. A registration counts once it is saved; one that is
// taken back is gone whether or not that can be saved.
import type { Workload } from '../../manifest/names.ts';
import { DaemonError } from '../errors.ts';
import type { Cgroup } from './cgroup.ts';
import { isAlive } from './process.ts';
import type { ProcessIdentity } from './process.ts';

export interface RegisteredWorkload {
  /** The container's id, by which it is unregistered. */
  readonly id: string;
  readonly workload: Workload;
  readonly cgroup: Cgroup;
  /** The container's first process: when it has ended, so has the container, whether or not somebody says so. */
  readonly init?: ProcessIdentity;
}

export const MOST_WORKLOADS = 4096;

export interface Keeping {
  /** Those of an earlier server, without contradictions. */
  readonly known?: readonly RegisteredWorkload[];
  /** Called with all of them, and throws when they could not be saved. */
  readonly save?: (workloads: readonly RegisteredWorkload[]) => void;
}

export class WorkloadRegistry {
  readonly #byId: Map<string, RegisteredWorkload>;
  readonly #save: (workloads: readonly RegisteredWorkload[]) => void;

  constructor({ known = [], save = () => undefined }: Keeping = {}) {
    this.#byId = new Map(known.map((entry) => [entry.id, entry]));
    this.#save = save;
  }

  /**
   * Registering the same again is fine; the same id or group for something else is not.
   * @throws DaemonError, and whatever `save` throws: then it is not registered
   */
  register(entry: RegisteredWorkload): void {
    this.sweep();
    for (const known of this.#byId.values()) {
      const same =
        known.id === entry.id && known.cgroup === entry.cgroup && known.workload === entry.workload;
      if (!same && (known.id === entry.id || known.cgroup === entry.cgroup)) {
        throw new DaemonError('workload-conflict', `${entry.id} or its control group is registered already`);
      }
    }
    if (!this.#byId.has(entry.id) && this.#byId.size >= MOST_WORKLOADS)
      throw new DaemonError('workload-conflict', `more than ${MOST_WORKLOADS} workloads`);
    this.#save([...new Map(this.#byId).set(entry.id, entry).values()]);
    this.#byId.set(entry.id, entry);
  }

  /** @throws DaemonError workload-unknown, and whatever `save` throws: it is gone, but a next server may know it */
  unregister(id: string): void {
    if (!this.#byId.delete(id)) throw new DaemonError('workload-unknown', `no workload ${id} is registered`);
    this.#save(this.list());
  }

  /**
   * Drops containers whose first process has ended without a word: another one may get their group's name.
   * Tells whether there were any. Not saved: who reads them back asks the same.
   */
  sweep(): boolean {
    const before = this.#byId.size;
    for (const { id, init } of this.#byId.values()) if (init && !isAlive(init)) this.#byId.delete(id);
    return this.#byId.size < before;
  }

  list(): readonly RegisteredWorkload[] {
    return [...this.#byId.values()];
  }
}

/** Finds a caller's workload among registered groups, by its own group or the nearest one above. */
export function findWorkload(groups: ReadonlyMap<Cgroup, Workload>, cgroup: Cgroup): Workload | undefined {
  for (let path = cgroup; ; path = path.slice(0, path.lastIndexOf('/'))) {
    const workload = groups.get(path);
    if (workload !== undefined || !path.includes('/')) return workload;
  }
}
