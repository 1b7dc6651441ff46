// How the realm moves from one state to the next in the store. A change is planned on the current state and
// committed whole by compare-and-set on the timestamp: roles, snapshot, timestamp and files, or nothing. Changes
// are made one after another; should another replica be faster, the change is planned again on what it left.
import type { RealmId } from '../manifest/names.ts';
import { ServiceError } from './errors.ts';
import { readCurrent } from './current.ts';
import type { CompleteSet, Current } from './current.ts';
import { TIMESTAMP_KEY, roleKey } from './keys.ts';
import type { RoleFile } from './online-roles.ts';
import type { Commit, Entry, Store, Stored } from './store/store.ts';
import type { StoredFiles } from './uploads.ts';

/** The next state, and what one commit stores besides its timestamp and snapshot. */
export interface Plan {
  readonly next: CompleteSet;
  readonly changed: readonly RoleFile[];
  readonly files: StoredFiles;
  /** Whether `next` has another root than the state before it. */
  readonly isNewRoot?: boolean;
}

/** How many versions of a role are kept, for clients in the middle of a refresh. */
const KEPT_VERSIONS = 16;
const ATTEMPTS = 5;

export class Ledger {
  readonly #store: Store;
  #loaded: { readonly revision: number; readonly current: Promise<Current> } | undefined;
  /** What this process is committing, or committed last: it was verified as it was planned, and is not read back. */
  #own: Omit<Current, 'revision'> | undefined;
  #lastTurn: Promise<unknown> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Verified once per commit, whoever and however many ask. */
  async find(): Promise<Current | undefined> {
    const timestamp = await this.#store.get(TIMESTAMP_KEY);
    if (!timestamp) return undefined;
    if (this.#loaded?.revision !== timestamp.revision) {
      const current = this.#read(timestamp);
      this.#loaded = { revision: timestamp.revision, current };
      // A store that failed once is asked again.
      current.catch(() => (this.#loaded = undefined));
    }
    return this.#loaded.current;
  }

  /** @throws ServiceError realm-missing, store-corrupt */
  async load(): Promise<Current> {
    const current = await this.find();
    if (!current) throw new ServiceError('realm-missing', 'this service has no realm yet');
    return current;
  }

  async #read(timestamp: Stored): Promise<Current> {
    const isOwn = this.#own && Buffer.compare(this.#own.set.timestamp.bytes, timestamp.value) === 0;
    if (isOwn && this.#own) return { ...this.#own, revision: timestamp.revision };
    try {
      return await readCurrent(this.#store, timestamp);
    } catch (error) {
      // Another replica may have stored the next root meanwhile, under which this timestamp is none.
      const newest = await this.#store.get(TIMESTAMP_KEY);
      if (!newest || newest.revision === timestamp.revision) throw error;
      return this.#read(newest);
    }
  }

  /** Commits the first state. @throws ServiceError realm-exists */
  begin(realm: RealmId, plan: Plan): Promise<void> {
    return this.#inTurn(async () => {
      if (await this.find()) throw new ServiceError('realm-exists', 'this service has its realm already');
      this.#own = { realm, set: topOf(plan.next) };
      await this.#store.commit(commitOf(plan, undefined));
    });
  }

  /**
   * Commits what `plan` makes of the current state; a plan may be made more than once, or be nothing.
   * @returns the state after it
   * @throws ServiceError conflict, realm-missing, store-failed, and what `plan` throws
   */
  change(plan: (current: Current) => Promise<Plan> | Plan | undefined): Promise<CompleteSet> {
    return this.#inTurn(async () => {
      for (let attempt = 1; ; attempt++) {
        const current = await this.load();
        const planned = await plan(current);
        if (!planned) return current.set;
        const isLast = attempt === ATTEMPTS;
        this.#own = { realm: current.realm, set: topOf(planned.next) };
        if (await this.#tryCommit(commitOf(planned, current), isLast)) return planned.next;
      }
    });
  }

  async #tryCommit(commit: Commit, isLast: boolean): Promise<boolean> {
    try {
      await this.#store.commit(commit);
      return true;
    } catch (error) {
      if (isLast || !(error instanceof ServiceError) || error.code !== 'conflict') throw error;
      return false;
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(work);
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }
}

/** Without the roles that a plan happened to touch. */
function topOf(set: CompleteSet): CompleteSet {
  const targets = set.targets.get('targets');
  return { ...set, targets: new Map(targets && [['targets', targets]]) };
}

/** The timestamp's revision stands for the whole state, since no commit leaves it out. */
function commitOf(
  { next, changed, files: stored, isNewRoot = false }: Plan,
  current: Current | undefined,
): Commit {
  const { role, bytes, sha256 } = next.snapshot;
  const isNewSnapshot = sha256 !== current?.set.snapshot.sha256;
  const files = isNewSnapshot ? [...changed, { name: 'snapshot', version: role.version, bytes }] : changed;
  const outdated = files.filter(({ version }) => version > KEPT_VERSIONS);
  return {
    expect: [{ key: TIMESTAMP_KEY, revision: current?.revision ?? 0 }],
    put: [
      ...(isNewRoot ? [rootEntry(next)] : []),
      ...stored.put,
      ...files.map((file) => ({ key: roleKey(file.name, file.version), value: file.bytes })),
      { key: TIMESTAMP_KEY, value: next.timestamp.bytes },
    ],
    remove: [
      ...stored.remove,
      ...outdated.map(({ name, version }) => roleKey(name, version - KEPT_VERSIONS)),
    ],
  };
}

function rootEntry({ root }: CompleteSet): Entry {
  return { key: roleKey('root', root.role.version), value: root.bytes };
}
