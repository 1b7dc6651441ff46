// What a client keeps on disk between runs: verified metadata, nothing else; no envelope, no key, no secret. Files
// stand under their consistent names and never change; one small index, replaced atomically (write, fsync, rename,
// fsync the directory), says which of them are trusted. So a crash leaves the state before or the state after.
// What is read back only guards against rollback: everything is verified again, and nothing is served from it.
// Several processes may use one directory: who saves takes turns, an older state never replaces a newer one, and who loads
// while another saves gets what was saved before or after.
import { mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isLapseError } from '../manifest/errors.ts';
import { parseJson } from '../manifest/json.ts';
import { LIMITS } from '../manifest/limits.ts';
import type { JsonObject } from '../manifest/json.ts';
import { parseNamespace } from '../manifest/names.ts';
import type { RealmId } from '../manifest/names.ts';
import { delegatorOf } from '../manifest/realm/realm.ts';
import {
  NOTHING_WITHDRAWN,
  joinWithdrawals,
  parseWithdrawal,
  withdrawalJson,
} from '../manifest/realm/revoker.ts';
import { array, boolean, object, string } from '../manifest/shape.ts';
import { sha256 } from '../manifest/tuf/metadata.ts';
import {
  currentRole,
  currentSnapshot,
  trustRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../manifest/tuf/trusted-set.ts';
import { ClientError } from './errors.ts';
import { NO_MEMORY } from './reading.ts';
import type { Memory } from './reading.ts';
import { alone } from './file-lock.ts';

const INDEX = 'trusted.json';
const LOCK = 'trusted.lock';
/** How long a turn is waited for; one takes as long as a few files take to reach the disk. */
const PATIENCE_MS = 10_000;
/** How often a load begins anew because another process has saved meanwhile. */
const MOST_LOADS = 100;
/** What a store writes, whole or broken off; anything else in the directory is not its to remove. */
const OWN = /^(trusted|(before-[0-9a-f]{16}|\d+)\.[a-z0-9-]+)\.json(\.new)?$/;

/** By name. */
type Files = ReadonlyMap<string, Uint8Array>;

export class TrustStore {
  readonly #directory: string;
  readonly #realm: RealmId;
  /** What stands there if the index is still the one that was written here. */
  #written: { readonly index: Uint8Array; readonly files: Files } | undefined;

  constructor(directory: string, realm: RealmId) {
    this.#directory = directory;
    this.#realm = realm;
  }

  /**
   * The state that was saved last; none on the first start.
   * @throws ClientError trust-store-unreadable: damage is never taken for a first start, which would allow rollback
   */
  async load(): Promise<{ readonly set?: TrustedSet; readonly memory: Memory }> {
    for (let loads = 1; ; loads++) {
      const index = await this.#read(INDEX);
      if (!index) return { memory: NO_MEMORY };
      try {
        const saved = this.#parse(index);
        return { set: await this.#verify(saved.files), memory: await this.#recall(saved) };
      } catch (cause) {
        const isReplaced = (await this.#read(INDEX))?.equals(index) === false;
        if (isReplaced && loads < MOST_LOADS) continue;
        throw isLapseError(cause) && !(cause instanceof ClientError)
          ? this.#unreadable(cause.message, cause)
          : cause;
      }
    }
  }

  /**
   * Saves a set whose snapshot is current, without the roles that are `failing`: the snapshot's versions are what guards
   * every role against rollback. Does nothing when another process has saved a newer one.
   * @throws ClientError trust-store-unwritable
   */
  async save(set: TrustedSet, memory: Memory, failing: ReadonlySet<string>): Promise<void> {
    const files = filesOf(set, failing);
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await alone(join(this.#directory, LOCK), PATIENCE_MS, () => this.#replace(files, memory));
    } catch (cause) {
      throw new ClientError('trust-store-unwritable', `cannot write to ${this.#directory}`, { cause });
    }
  }

  async #replace(trusted: Files, memory: Memory): Promise<void> {
    const index = await this.#read(INDEX);
    const saved = this.#saved(index);
    const names = [...trusted.keys()];
    const floors = joined(memory.floors, saved?.floors);
    if (saved && isOlder(names, saved.files)) {
      // Whoever comes late may still know of something that was taken back.
      await this.#writeIndex({ ...saved, floors });
      return;
    }
    const before = [...memory.predecessors].map(
      ([role, bytes]) => [predecessorFile(role, bytes), bytes] as const,
    );
    const files = new Map([...trusted, ...before]);
    const there = this.#written && index?.equals(this.#written.index) ? this.#written.files : undefined;
    // Until all of it is done, nobody knows what stands there.
    this.#written = undefined;
    await this.#writeMissing(files, there);
    const written = await this.#writeIndex({
      files: names,
      predecessors: before.map(([name]) => name),
      floors,
      delegated: new Map([...(saved?.delegated ?? []), ...memory.delegated]),
    });
    await this.#sweep(files, there?.keys() ?? (await readdir(this.#directory)));
    this.#written = { index: written, files };
  }

  /** What the index says; nothing if it is damaged, which the next load would have said. */
  #saved(index: Uint8Array | undefined): Index | undefined {
    try {
      return index && this.#parse(index);
    } catch (error) {
      if (isLapseError(error)) return undefined;
      throw error;
    }
  }

  #parse(index: Uint8Array): Index {
    const raw = object(parseJson(index, LIMITS.targetsBytes), INDEX);
    if (string(raw['realm'], 'realm') !== this.#realm) throw this.#unreadable('it belongs to another realm');
    const names = (member: string): readonly string[] =>
      array(raw[member], member, 4 * LIMITS.namespaces).map((name) => string(name, member));
    const floors = Object.entries(object(raw['floors'], 'floors'));
    const delegated = Object.entries(object(raw['delegated'], 'delegated'));
    return {
      files: names('files'),
      predecessors: names('predecessors'),
      floors: new Map(floors.map(([id, floor]) => [id, parseWithdrawal(floor, id)])),
      delegated: new Map(delegated.map(([name, had]) => [parseNamespace(name), boolean(had, 'delegated')])),
    };
  }

  async #verify(names: readonly string[]): Promise<TrustedSet> {
    const [root = '', timestamp, snapshot, ...roles] = names;
    let set = trustRoot(await this.#required(root));
    if (timestamp) set = updateTimestamp(set, await this.#required(timestamp));
    if (snapshot) set = updateSnapshot(set, await this.#required(snapshot));
    for (const file of roles) {
      const role = /^\d+\.(.+)\.json$/.exec(file)?.[1] ?? '';
      const delegator = role === 'targets' ? 'root' : delegatorOf(role);
      set = updateTargets(set, role, await this.#required(file), undefined, delegator);
    }
    return set;
  }

  async #recall({ predecessors, floors, delegated }: Index): Promise<Memory> {
    const files = new Map<string, Uint8Array>();
    for (const file of predecessors) {
      const role = /^before-[0-9a-f]{16}\.(.+)\.json$/.exec(file)?.[1];
      if (role === undefined) throw this.#unreadable(`${file} is no predecessor's file`);
      files.set(role, await this.#required(file));
    }
    return { predecessors: files, floors, delegated };
  }

  async #required(name: string): Promise<Uint8Array> {
    const bytes = /^[a-z0-9.-]+\.json$/.test(name) ? await this.#read(name) : undefined;
    if (!bytes) throw this.#unreadable(`${name} is missing`);
    return bytes;
  }

  async #read(name: string): Promise<Buffer | undefined> {
    try {
      return await readFile(join(this.#directory, name));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#unreadable(`${name} cannot be read`, cause);
    }
  }

  async #writeIndex(index: Index): Promise<Buffer> {
    const bytes = Buffer.from(JSON.stringify(indexJson(this.#realm, index)));
    await this.#write(INDEX, bytes);
    await this.#syncDirectory();
    return bytes;
  }

  async #write(name: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.#directory, name);
    await using file = await open(`${path}.new`, 'w', 0o600);
    await file.writeFile(bytes);
    await file.sync();
    await rename(`${path}.new`, path);
  }

  /** They are all on the disk before anything names them. */
  async #writeMissing(files: Files, there: Files | undefined): Promise<void> {
    for (const [name, bytes] of files) {
      const known = there ? there.get(name) : await this.#read(name);
      if (!known || Buffer.compare(known, bytes) !== 0) await this.#write(name, bytes);
    }
    await this.#syncDirectory();
  }

  /** Removes what the index no longer lists. */
  async #sweep(listed: Files, present: Iterable<string>): Promise<void> {
    for (const name of present) {
      const isKept = name === INDEX || listed.has(name);
      if (!isKept && OWN.test(name)) await rm(join(this.#directory, name), { force: true });
    }
  }

  async #syncDirectory(): Promise<void> {
    await using directory = await open(this.#directory);
    await directory.sync();
  }

  #unreadable(why: string, cause?: unknown): ClientError {
    const advice = `move ${this.#directory} away to start again from the realm's root`;
    return new ClientError('trust-store-unreadable', `the trusted state is damaged: ${why}; ${advice}`, {
      cause,
    });
  }
}

/** What the index holds: names of files, and the rest of the memory. */
interface Index extends Omit<Memory, 'predecessors'> {
  readonly files: readonly string[];
  readonly predecessors: readonly string[];
}

function indexJson(realm: RealmId, { files, predecessors, floors, delegated }: Index): JsonObject {
  return {
    realm,
    files,
    predecessors,
    floors: Object.fromEntries([...floors].map(([id, floor]) => [id, withdrawalJson(floor)])),
    delegated: Object.fromEntries(delegated),
  };
}

/** What two processes remember of what was taken back. */
function joined(a: Memory['floors'], b: Memory['floors'] = new Map()): Memory['floors'] {
  const floors = new Map(b);
  for (const [id, floor] of a) floors.set(id, joinWithdrawals(floor, floors.get(id) ?? NOTHING_WITHDRAWN));
  return floors;
}

/** By the versions of root and timestamp: a new root may set the timestamp's back. */
function isOlder(names: readonly string[], than: readonly string[]): boolean {
  const version = (some: readonly string[], role: string): number =>
    Number(some.find((name) => name.endsWith(`.${role}.json`))?.split('.')[0] ?? 0);
  const newer = (role: string): number => version(names, role) - version(than, role);
  return newer('root') === 0 ? newer('timestamp') < 0 : newer('root') < 0;
}

/** Consistent names in the order in which they verify each other; only what the current snapshot names. */
function filesOf(set: TrustedSet, failing: ReadonlySet<string>): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const add = (role: string, file: { role: { version: number }; bytes: Uint8Array } | undefined): void => {
    if (file) files.set(`${file.role.version}.${role}.json`, file.bytes);
  };
  add('root', set.root);
  add('timestamp', set.timestamp);
  add('snapshot', currentSnapshot(set));
  add('targets', currentRole(set, 'targets'));
  // A delegator stands before what it delegates to, since it was verified first.
  const roles = [...set.targets.keys()].filter((role) => role !== 'targets' && !failing.has(role));
  const isHeld = (role: string): boolean => !failing.has(delegatorOf(role));
  for (const role of roles.filter(isHeld)) add(role, currentRole(set, role));
  return files;
}

/** Named by what is in it, since a version alone may stand for several files of a role that fails. */
function predecessorFile(role: string, bytes: Uint8Array): string {
  return `before-${sha256(bytes).slice(0, 16)}.${role}.json`;
}
