// One pass through TUF's client workflow (1.0.34 §5), for any repository: it fetches what the state machine of
// manifest/tuf asks for next, within the length that was signed or a limit, and hands it over. `now` stays the same
// throughout (§5.1). What was verified stays, in `set` and with the keeper, whatever fails after it.
//
// The caller asks in this order: `roots`, `timestamp`, `snapshot`, then roles and targets as it needs them.
import { isLapseError } from '../manifest/errors.ts';
import { LIMITS } from '../manifest/limits.ts';
import { Search } from '../manifest/tuf/delegations.ts';
import { checkFile } from '../manifest/tuf/metadata.ts';
import { targetFileName } from '../manifest/tuf/targets.ts';
import type { TargetFile } from '../manifest/tuf/targets.ts';
import {
  currentRole,
  currentSnapshot,
  recallSnapshot,
  roleMeta,
  trustRoot,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../manifest/tuf/trusted-set.ts';
import type { TrustedSet, VerifiedTargets } from '../manifest/tuf/trusted-set.ts';
import { ClientError } from './errors.ts';

/** Fetches a file under the name that the repository gives it. @throws ClientError not-found, answer-too-large */
export type Fetch = (file: string, maxBytes: number) => Promise<Uint8Array>;

/** Where trusted metadata outlives the process, by role and exactly as it was served. */
export interface Keeper {
  /** What was kept last; the bytes are not trusted until they are verified again. */
  recall(role: string): Promise<Uint8Array | undefined>;
  keep(role: string, bytes: Uint8Array): Promise<void>;
  forget(role: string): Promise<void>;
}

export interface CycleParts {
  readonly fetch: Fetch;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly keeper?: Keeper;
}

/** Keeps nothing beyond the set itself. */
const NOBODY: Keeper = {
  recall: () => Promise.resolve(undefined),
  keep: () => Promise.resolve(),
  forget: () => Promise.resolve(),
};

/**
 * What a keeper holds, verified again: it guards against rollback, and nothing but a root needs to be there.
 * @throws ClientError not-found: no root; ManifestError: a root that is not signed by itself
 */
export async function recallSet(keeper: Keeper): Promise<TrustedSet> {
  const root = await keeper.recall('root');
  if (!root) throw new ClientError('not-found', 'no trusted root is kept here');
  let set = trustRoot(root);
  for (const [role, update] of [
    ['timestamp', updateTimestamp],
    ['snapshot', recallSnapshot],
  ] as const) {
    set = (await recalled(keeper, role, (bytes) => update(set, bytes))) ?? set;
  }
  return set;
}

export class UpdateCycle {
  readonly #fetch: Fetch;
  readonly #now: number;
  readonly #keeper: Keeper;
  #set: TrustedSet;

  constructor(set: TrustedSet, { fetch, now, keeper = NOBODY }: CycleParts) {
    this.#set = set;
    this.#fetch = fetch;
    this.#now = now;
    this.#keeper = keeper;
  }

  get set(): TrustedSet {
    return this.#set;
  }

  /** §5.3: root N+1 until there is none. */
  async roots(): Promise<void> {
    for (let i = 0; i < LIMITS.rootRotations; i++) {
      const bytes = await this.#nextRoot();
      if (!bytes) return;
      const before = this.#set;
      const set = updateRoot(before, bytes);
      await this.#accept(set, 'root', bytes);
      // §5.3.11
      if (before.timestamp && !set.timestamp) await this.#keeper.forget('timestamp');
      if (before.snapshot && !set.snapshot) await this.#keeper.forget('snapshot');
    }
  }

  /** §5.4, of bytes that came already or are fetched now. */
  async timestamp(newest?: Uint8Array): Promise<void> {
    const bytes = newest ?? (await this.#fetch('timestamp.json', LIMITS.timestampBytes));
    await this.#accept(updateTimestamp(this.#set, bytes, this.#now), 'timestamp', bytes);
  }

  /** §5.5. One that is current already is verified again when it has expired since, to be refused. */
  async snapshot(): Promise<void> {
    const current = currentSnapshot(this.#set);
    if (current && current.role.expires > this.#now) return;
    const { version, length } = this.#set.timestamp?.role.snapshot ?? { version: 0 };
    const bytes =
      current?.bytes ??
      (await this.#fetch(this.#fileName('snapshot', version), atMost(LIMITS.snapshotBytes, length)));
    await this.#accept(updateSnapshot(this.#set, bytes, this.#now), 'snapshot', bytes);
  }

  /**
   * §5.6: brings one targets role up to the snapshot. It must be signed as this delegator wants, whoever else delegates
   * to it and had it verified before.
   * @throws ManifestError role-unknown and whatever the file is refused for
   */
  async role(name: string, delegator: string): Promise<VerifiedTargets | undefined> {
    const { version, length } = roleMeta(this.#set, name);
    const current = currentRole(this.#set, name);
    if (current?.delegator === delegator && current.role.expires > this.#now) return current;
    const verify = (bytes: Uint8Array) => updateTargets(this.#set, name, bytes, this.#now, delegator);
    const kept = current ? undefined : await recalled(this.#keeper, name, verify);
    if (kept) {
      this.#set = kept;
    } else {
      // Bytes that are here already need no fetching, only to be verified for this delegator, or to be refused.
      const file = this.#fileName(name, version);
      const bytes = current?.bytes ?? (await this.#fetch(file, atMost(LIMITS.targetsBytes, length)));
      await this.#accept(verify(bytes), name, bytes);
    }
    return currentRole(this.#set, name);
  }

  /** §5.6.7: what the roles say of a target, once the snapshot is current. @throws ManifestError search-too-long */
  async find(path: string): Promise<TargetFile | undefined> {
    const search = new Search(path);
    for (let visit = search.next(); visit; visit = search.next()) {
      const role = (await this.role(visit.name, visit.delegator))?.role;
      const file = role?.targets.get(path);
      if (file) return file;
      if (role) search.ask(role, visit.name);
    }
    return undefined;
  }

  /** §5.7: a target's bytes, as `find` says they must be. */
  async target(path: string, file: TargetFile, fetch: Fetch): Promise<Uint8Array> {
    const name = targetFileName(path, file, this.#set.root.role.consistentSnapshot);
    const bytes = await fetch(name, file.length);
    checkFile(bytes, file, path);
    return bytes;
  }

  async #nextRoot(): Promise<Uint8Array | undefined> {
    try {
      return await this.#fetch(`${this.#set.root.role.version + 1}.root.json`, LIMITS.rootBytes);
    } catch (error) {
      if (error instanceof ClientError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  /** §6.2 */
  #fileName(role: string, version: number): string {
    return this.#set.root.role.consistentSnapshot ? `${version}.${role}.json` : `${role}.json`;
  }

  async #accept(set: TrustedSet, role: string, bytes: Uint8Array): Promise<void> {
    if (set === this.#set) return;
    this.#set = set;
    await this.#keeper.keep(role, bytes);
  }
}

function atMost(limit: number, length: number | undefined): number {
  return Math.min(limit, length ?? limit);
}

/** What verifies of what is kept; what does not is as if it were not there. */
async function recalled<T>(
  keeper: Keeper,
  role: string,
  verify: (bytes: Uint8Array) => T,
): Promise<T | undefined> {
  const bytes = await keeper.recall(role);
  if (!bytes) return undefined;
  try {
    return verify(bytes);
  } catch (error) {
    if (!isLapseError(error)) throw error;
    return undefined;
  }
}
