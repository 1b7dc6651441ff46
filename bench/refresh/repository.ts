// A realm with as many namespaces and secrets as are asked for, and what it publishes afterwards: one rotation at a time, in
// the first namespace, of another secret each time. Roles are written as `lapse put` writes them. One secret of each
// namespace is really encrypted and wrapped; the others have its wrapped keys and hashes of nothing, which a refresh does
// not look at. The superseded version stays listed, so the namespace grows by one entry with each rotation.
import { randomBytes } from 'node:crypto';
import type { JsonObject } from '../../manifest/json.ts';
import { parseFileName, parseNamespace, parseSecretName, parseWorkload } from '../../manifest/names.ts';
import { addVersion } from '../../manifest/realm/change.ts';
import type { NewVersion } from '../../manifest/realm/change.ts';
import type { News, Publish } from '../../manifest/realm/exchange.ts';
import type { Grant } from '../../manifest/realm/grant.ts';
import { parseTargets } from '../../manifest/tuf/targets.ts';
import { trustRoot } from '../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../manifest/tuf/trusted-set.ts';
import { nextState } from '../../service/online-roles.ts';
import { makeSigner, TestRealm } from '../../test/support/realm.ts';
import type { TestSigner } from '../../test/support/realm.ts';

const LEASE_SECONDS = 600;

export interface Shape {
  readonly secrets: number;
  readonly namespaces: number;
  /** Wrapped for one recipient and granted to nobody: 10,000 of them just fit into the 8 MiB of a role. */
  readonly isLean?: boolean;
}

type OnlineKeys = Readonly<Record<'snapshot' | 'timestamp', TestSigner>>;

export class Repository {
  readonly realm: TestRealm;
  /** Every file that was ever published, by its consistent name. */
  readonly files = new Map<string, Uint8Array>();
  readonly #keys: OnlineKeys;
  readonly #now: number;
  #set: TrustedSet;
  #rotations = 0;

  private constructor(realm: TestRealm, keys: OnlineKeys, now: number) {
    this.realm = realm;
    this.#keys = keys;
    this.#now = now;
    this.#set = trustRoot(realm.genesis.root);
  }

  /** `now` in milliseconds since the epoch. */
  static async make({ secrets, namespaces, isLean = false }: Shape, now: number): Promise<Repository> {
    const keys = { snapshot: makeSigner(), timestamp: makeSigner() };
    const online = { snapshot: keys.snapshot.publicHex, timestamp: keys.timestamp.publicHex };
    const realm = await TestRealm.make(online, { now, lease: LEASE_SECONDS });
    const repository = new Repository(realm, keys, now);
    repository.#publish({ roles: realm.genesis.roles, files: [] });
    for (let i = 0; i < namespaces; i++) realm.delegate(namespaceName(i));
    repository.#publish({ roles: [{ name: 'targets', metadata: realm.role('targets').bytes }], files: [] });
    const roles: Publish['roles'][number][] = [];
    for (let i = 0; i < namespaces; i++) {
      const targets = await repository.#fill(namespaceName(i), secrets / namespaces, isLean);
      roles.push(...realm.draft(namespaceName(i), { targets }).roles);
    }
    repository.#publish(realm.adopt({ roles, files: [] }));
    return repository;
  }

  /** Where a client finds each namespace: one secret of it. */
  get paths(): readonly string[] {
    return [...(this.#set.targets.get('targets')?.role.delegations.keys() ?? [])]
      .filter((role) => role !== 'fleet')
      .map((namespace) => `${namespace}/${secretName(0)}@1`);
  }

  /** The next secret of the first namespace gets a second version. */
  async rotate(): Promise<News> {
    const options = { grants: [grant(this.#rotations + 1)], overlapSeconds: 300 };
    return this.#publish(await this.realm.put(namespaceName(0), secretName(++this.#rotations), options));
  }

  /** What a publish of roles leads to: new online roles, and the news of it. */
  #publish({ roles }: Publish): News {
    const files = new Map<string, Uint8Array>();
    const changed = roles.map(({ name, metadata: bytes }) => {
      const { version } = parseTargets(bytes).role;
      files.set(`${version}.${name}.json`, bytes);
      return { name, version, bytes };
    });
    const { snapshot, timestamp, ...set } = nextState(
      this.#set,
      this.#keys,
      changed,
      LEASE_SECONDS,
      this.#now,
    );
    this.#set = { ...set, snapshot, timestamp };
    files.set(`${snapshot.role.version}.snapshot.json`, snapshot.bytes);
    for (const [name, bytes] of files) this.files.set(name, bytes);
    this.files.set('timestamp.json', timestamp.bytes);
    return { timestamp: timestamp.bytes, files };
  }

  /** The `targets` member of a namespace. */
  async #fill(namespace: string, secrets: number, isLean: boolean): Promise<JsonObject> {
    await this.realm.put(namespace, secretName(0));
    const live = this.realm.secret(namespace, secretName(0))?.newest;
    if (!live) throw new Error(`${namespace} is empty`);
    const keys = isLean ? live.keys.slice(0, 1) : live.keys;
    const targets: Record<string, JsonObject> = {};
    for (let i = 0; i < secrets; i++) {
      const grants = isLean ? [] : [grant(i)];
      const next = { ...live, keys, grants, sha256: randomBytes(32).toString('hex') };
      Object.assign(targets, entry(namespace, secretName(i), next, this.#now));
    }
    return targets;
  }
}

function entry(
  namespace: string,
  name: string,
  next: Omit<NewVersion, 'overlapSeconds' | 'whenStale'>,
  now: number,
): JsonObject {
  const of = { namespace: parseNamespace(namespace), name: parseSecretName(name), secret: undefined };
  return addVersion({}, of, { ...next, overlapSeconds: 300, whenStale: 'deny' }, now);
}

function grant(i: number): Grant {
  return { workload: parseWorkload('web'), file: parseFileName(secretName(i)), uid: 0, gid: 0, mode: 0o440 };
}

function namespaceName(i: number): string {
  return `n${i}`;
}

/** Short, as the room in a role is. */
function secretName(i: number): string {
  return `s${i.toString(36)}`;
}
