// The realm as the service offers it: begun once, changed by publishes, read by name. A publish is verified by the
// functions that clients run, then held against what it replaces, then stored whole; it is durable when the promise
// resolves. Nothing here can sign for a namespace or open an envelope.
import { ManifestError } from '../manifest/errors.ts';
import type { Genesis, News, Publish, Published } from '../manifest/realm/exchange.ts';
import { leaseMs } from '../manifest/realm/lease.ts';
import type { Verified } from '../manifest/tuf/metadata.ts';
import type { Root } from '../manifest/tuf/root.ts';
import { parseTargets } from '../manifest/tuf/targets.ts';
import type { Targets } from '../manifest/tuf/targets.ts';
import { currentRole, roleKeys, trustRoot } from '../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../manifest/tuf/trusted-set.ts';
import type { Clock } from './clock.ts';
import { readNamespace, storedVersion } from './current.ts';
import type { CompleteSet, Current } from './current.ts';
import { ServiceError } from './errors.ts';
import { FIRST_ROOT_KEY } from './keys.ts';
import { Ledger } from './ledger.ts';
import type { Plan } from './ledger.ts';
import { readNews } from './news.ts';
import type { OnlineKeys } from './online-keys.ts';
import { isTimestampFresh, nextState } from './online-roles.ts';
import type { RoleFile } from './online-roles.ts';
import { checkVersionFollows, refuseEnvelopes, reviewNamespace, reviewTargets } from './publication.ts';
import type { Change, Store } from './store/store.ts';

const NO_ENVELOPES = { put: [], remove: [] };

export class Repository {
  readonly onlineKeys: OnlineKeys;
  readonly #store: Store;
  readonly #ledger: Ledger;
  readonly #clock: Clock;

  private constructor(store: Store, onlineKeys: OnlineKeys, clock: Clock) {
    this.onlineKeys = onlineKeys;
    this.#store = store;
    this.#ledger = new Ledger(store);
    this.#clock = clock;
  }

  /** @throws ServiceError online-keys-mismatch, if the stored realm was begun with other keys; store-corrupt */
  static async open(store: Store, onlineKeys: OnlineKeys, clock: Clock): Promise<Repository> {
    const repository = new Repository(store, onlineKeys, clock);
    const current = await repository.#ledger.find();
    if (current) checkOnlineKeys(current.set.root.role, onlineKeys);
    return repository;
  }

  async exists(): Promise<boolean> {
    return (await this.#ledger.find()) !== undefined;
  }

  /** @throws ServiceError realm-exists, online-keys-mismatch; ManifestError */
  async create({ root, targets, lease }: Genesis): Promise<Published> {
    const born = trustRoot(root);
    const file = readRoleFile('targets', targets);
    checkVersionFollows('root', born.root.role.version, 0);
    checkVersionFollows('targets', file.version, 0);
    checkOnlineKeys(born.root.role, this.onlineKeys);
    const next = nextState(born, this.onlineKeys, [file], lease, this.#clock.now());
    reviewTargets(undefined, acceptedRole(next, 'targets'));
    const plan = { next, changed: [file], envelopes: NO_ENVELOPES };
    await this.#ledger.begin({ key: FIRST_ROOT_KEY, value: root }, plan);
    return { version: file.version, timestamp: next.timestamp.role.version };
  }

  /** @throws ServiceError conflict, role-not-publishable, realm-missing, envelope-*, store-*; ManifestError */
  async publish(publish: Publish): Promise<Published> {
    if (['root', 'snapshot', 'timestamp'].includes(publish.role)) {
      throw new ServiceError('role-not-publishable', `${publish.role} is not published here`);
    }
    const file = readRoleFile(publish.role, publish.metadata);
    const { timestamp } = await this.#ledger.change((current) => this.#plan(current, file, publish));
    return { version: file.version, timestamp: timestamp.role.version };
  }

  /** The timestamp, signed anew when less than half of its life is left. @throws ServiceError realm-missing */
  async timestamp(): Promise<Uint8Array> {
    return (await this.#fresh()).set.timestamp.bytes;
  }

  /** A stored file under the name by which clients ask for it. */
  async file(key: string): Promise<Uint8Array | undefined> {
    return (await this.#store.get(key))?.value;
  }

  /** What a client that has seen revision `since` lacks. @throws ServiceError realm-missing */
  async news(since: number | undefined): Promise<{ readonly revision: number; readonly news: News }> {
    const current = await this.#fresh();
    return { revision: current.revision, news: await readNews(this.#store, current, since) };
  }

  watch(listener: (change: Change) => void): Disposable {
    return this.#store.watch(listener);
  }

  async #plan(current: Current, file: RoleFile, publish: Publish): Promise<Plan> {
    const { set } = current;
    // An unknown role must not be told a version to publish next.
    roleKeys(set, file.name);
    checkVersionFollows(file.name, file.version, storedVersion(set, file.name));
    const next = this.#sign(set, [file]);
    const accepted = acceptedRole(next, file.name);
    if (file.name === 'targets') {
      reviewTargets(acceptedRole(set, 'targets'), accepted);
      refuseEnvelopes(publish.envelopes);
      return { next, changed: [file], envelopes: NO_ENVELOPES };
    }
    const old = await readNamespace(this.#store, current, file.name);
    return { next, changed: [file], envelopes: reviewNamespace(old, accepted.role, publish) };
  }

  async #fresh(): Promise<Current> {
    const current = await this.#ledger.load();
    if (isTimestampFresh(current.set, this.#clock.now())) return current;
    await this.#ledger.change(({ set }) => this.#renewal(set));
    return this.#ledger.load();
  }

  /** Nothing, if another request renewed the timestamp while this one waited for its turn. */
  #renewal(set: CompleteSet): Plan | undefined {
    if (isTimestampFresh(set, this.#clock.now())) return undefined;
    return { next: this.#sign(set, []), changed: [], envelopes: NO_ENVELOPES };
  }

  #sign(set: CompleteSet, changed: readonly RoleFile[]): CompleteSet {
    return nextState(set, this.onlineKeys, changed, leaseMs(set.timestamp) / 1000, this.#clock.now());
  }
}

function readRoleFile(name: string, bytes: Uint8Array): RoleFile {
  return { name, version: parseTargets(bytes).role.version, bytes };
}

function acceptedRole(set: TrustedSet, name: string): Verified<Targets> {
  const role = currentRole(set, name);
  if (!role) throw new ManifestError('metadata-missing', `a current ${name} is needed first`);
  return role;
}

function checkOnlineKeys({ roles }: Root, { snapshot, timestamp }: OnlineKeys): void {
  if (!roles.snapshot.keys.has(snapshot.keyid) || !roles.timestamp.keys.has(timestamp.keyid)) {
    throw new ServiceError(
      'online-keys-mismatch',
      'root names other snapshot and timestamp keys than this service has',
    );
  }
}
