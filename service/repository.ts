// The realm as the service offers it: begun once, changed by publishes, read by name. A publish is verified by the
// functions that clients run, then held against what it replaces, then stored whole; it is durable when the promise
// resolves. Nothing here can sign for a namespace or open an envelope.
import { ManifestError } from '../manifest/errors.ts';
import type { RealmId } from '../manifest/names.ts';
import { signEcho } from '../manifest/realm/echo.ts';
import type { Genesis, News, Publish, Published, RoleUpload } from '../manifest/realm/exchange.ts';
import { leaseMs } from '../manifest/realm/lease.ts';
import { asVerified, readProposal } from '../manifest/realm/proposal.ts';
import type { ProposedRole } from '../manifest/realm/proposal.ts';
import { FLEET, FLEET_HOSTS, delegatorOf, realmId } from '../manifest/realm/realm.ts';
import type { Verified } from '../manifest/tuf/metadata.ts';
import type { Root } from '../manifest/tuf/root.ts';
import { parseTargets } from '../manifest/tuf/targets.ts';
import type { Targets } from '../manifest/tuf/targets.ts';
import { currentRole, trustRoot, updateTargets } from '../manifest/tuf/trusted-set.ts';
import type { Clock } from './clock.ts';
import { complete, readRole, storedVersion } from './current.ts';
import type { CompleteSet, Current } from './current.ts';
import { ServiceError } from './errors.ts';
import { FIRST_ROOT_KEY } from './keys.ts';
import { Ledger } from './ledger.ts';
import type { Plan } from './ledger.ts';
import { readNews } from './news.ts';
import type { OnlineKeys } from './online-keys.ts';
import { isTimestampFresh, nextState } from './online-roles.ts';
import { checkVersionFollows } from './publication.ts';
import { reviewPublish } from './review.ts';
import type { Change, Store } from './store/store.ts';
import { NO_FILES } from './uploads.ts';
import type { StoredFiles } from './uploads.ts';

/** A role as it was uploaded: parsed, and not believed yet. */
interface Upload {
  readonly name: string;
  readonly version: number;
  readonly bytes: Uint8Array;
  readonly role: Targets;
}

const NOT_PUBLISHED = ['root', 'snapshot', 'timestamp'];
const BORN_WITH = ['targets', FLEET, FLEET_HOSTS];

export class Repository {
  readonly onlineKeys: OnlineKeys;
  readonly #store: Store;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  /** A read of the newest timestamp that has not begun yet, for all whose question came before it does. */
  #nextRead: Promise<Current> | undefined;

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

  /** @throws ServiceError realm-missing */
  async realm(): Promise<RealmId> {
    return (await this.#ledger.load()).realm;
  }

  /** @throws ServiceError realm-exists, online-keys-mismatch; ManifestError */
  async create({ root, roles, lease }: Genesis): Promise<Published> {
    const born = trustRoot(root);
    const uploads = roles.map(readUpload);
    checkVersionFollows('root', born.root.role.version, 0);
    for (const { name, version } of uploads) checkVersionFollows(name, version, 0);
    if (uploads.map(({ name }) => name).join() !== BORN_WITH.join()) {
      throw new ManifestError('metadata-missing', `a realm begins with ${BORN_WITH.join(', ')}`);
    }
    checkOnlineKeys(born.root.role, this.onlineKeys);
    const next = nextState(born, this.onlineKeys, uploads, lease, this.#clock.now());
    await reviewPublish(BORN_WITH, [], {
      before: () => Promise.resolve(undefined),
      after: (name) => Promise.resolve(currentRole(next, name)),
    });
    const plan = { next, changed: uploads, files: NO_FILES };
    await this.#ledger.begin({ key: FIRST_ROOT_KEY, value: root }, realmId(born.root), plan);
    return published(uploads, next);
  }

  /** @throws ServiceError conflict, role-not-publishable, realm-missing, file-*, store-*; ManifestError */
  async publish({ roles, files }: Publish): Promise<Published> {
    const uploads = readUploads(roles);
    return published(uploads, await this.#ledger.change((current) => this.#plan(current, uploads, files)));
  }

  /**
   * The roles of a publish that need not be signed by enough: everything else is verified as for one, on the realm as it
   * is, and nothing changes.
   * @throws ServiceError conflict, role-not-publishable, realm-missing, file-*, store-*; ManifestError
   */
  async review({ roles, files }: Publish): Promise<readonly ProposedRole[]> {
    const uploads = readUploads(roles);
    const current = await this.#ledger.load();
    await this.#checkFollows(current, uploads);
    const proposed = readProposal(await this.#withFleet(current), roles, this.#clock.now());
    const byName = new Map(proposed.map((role) => [role.name, asVerified(role)]));
    await this.#review(current, uploads, files, (name) => byName.get(name));
    return proposed;
  }

  /** The timestamp, signed anew when less than half of its life is left. @throws ServiceError realm-missing */
  async timestamp(): Promise<Uint8Array> {
    return (await this.#fresh()).set.timestamp.bytes;
  }

  /**
   * Which timestamp is the newest, by a read that begins after this call, signed over the nonce.
   * @throws ServiceError realm-missing
   */
  async echo(nonce: string): Promise<Uint8Array> {
    this.#nextRead ??= Promise.resolve().then(() => {
      this.#nextRead = undefined;
      return this.#ledger.load();
    });
    const { timestamp } = (await this.#nextRead).set;
    const newest = { version: timestamp.role.version, sha256: timestamp.sha256 };
    return signEcho(newest, nonce, [this.onlineKeys.timestamp]);
  }

  /** A stored file under the name by which clients ask for it. */
  async file(key: string): Promise<Uint8Array | undefined> {
    return (await this.#store.get(key))?.value;
  }

  /** The stored version of a role; 0 for none. @throws ServiceError realm-missing */
  async versions(...names: readonly string[]): Promise<readonly number[]> {
    const { set } = await this.#ledger.load();
    return names.map((name) => storedVersion(set, name));
  }

  /** A role as it was accepted. @throws ServiceError realm-missing, store-corrupt */
  async role(name: string): Promise<Verified<Targets> | undefined> {
    return readRole(this.#store, await this.#ledger.load(), name);
  }

  /** What a client that has seen revision `since` lacks. @throws ServiceError realm-missing */
  async news(since: number | undefined): Promise<{ readonly revision: number; readonly news: News }> {
    const current = await this.#fresh();
    return { revision: current.revision, news: await readNews(this.#store, current, since) };
  }

  watch(listener: (change: Change) => void): Disposable {
    return this.#store.watch(listener);
  }

  async #plan(current: Current, uploads: readonly Upload[], files: readonly Uint8Array[]): Promise<Plan> {
    await this.#checkFollows(current, uploads);
    const next = this.#sign(await this.#withFleet(current), uploads);
    const stored = await this.#review(current, uploads, files, (name) => currentRole(next, name));
    return { next, changed: uploads, files: stored };
  }

  async #checkFollows(current: Current, uploads: readonly Upload[]): Promise<void> {
    for (const { name, version } of uploads) {
      // An unknown role must not be told a version to publish next.
      await this.#checkDelegated(current, name, uploads);
      checkVersionFollows(name, version, storedVersion(current.set, name));
    }
  }

  /** `next` are the uploads, read. */
  #review(
    current: Current,
    uploads: readonly Upload[],
    files: readonly Uint8Array[],
    next: (name: string) => Verified<Targets> | undefined,
  ): Promise<StoredFiles> {
    const isUploaded = new Set(uploads.map(({ name }) => name));
    const before = (name: string) => readRole(this.#store, current, name);
    const after = (name: string) => (isUploaded.has(name) ? Promise.resolve(next(name)) : before(name));
    return reviewPublish([...isUploaded], files, { before, after });
  }

  async #checkDelegated(current: Current, name: string, uploads: readonly Upload[]): Promise<void> {
    if (name === 'targets') return;
    const delegator = delegatorOf(name);
    const uploaded = uploads.find((upload) => upload.name === delegator)?.role;
    const role = uploaded ?? (await readRole(this.#store, current, delegator))?.role;
    if (!role?.delegations.has(name)) {
      throw new ManifestError('role-unknown', `${delegator} does not delegate to ${name}`);
    }
  }

  /** With the one role besides targets that delegates; without it, when it is not signed as targets asks now. */
  async #withFleet(current: Current): Promise<CompleteSet> {
    const fleet = await readRole(this.#store, current, FLEET);
    try {
      return fleet ? complete(updateTargets(current.set, FLEET, fleet.bytes)) : current.set;
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      return current.set;
    }
  }

  /** A store that cannot be written to still gives what it has, as long as that is good. */
  async #fresh(): Promise<Current> {
    const current = await this.#ledger.load();
    if (isTimestampFresh(current.set, this.#clock.now())) return current;
    try {
      await this.#ledger.change(({ set }) => this.#renewal(set));
      return await this.#ledger.load();
    } catch (error) {
      const isGood = current.set.timestamp.role.expires > this.#clock.now();
      if (isGood && error instanceof ServiceError && error.code === 'store-failed') return current;
      throw error;
    }
  }

  /** Nothing, if another request renewed the timestamp while this one waited for its turn. */
  #renewal(set: CompleteSet): Plan | undefined {
    if (isTimestampFresh(set, this.#clock.now())) return undefined;
    return { next: this.#sign(set, []), changed: [], files: NO_FILES };
  }

  #sign(set: CompleteSet, changed: readonly Upload[]): CompleteSet {
    return nextState(set, this.onlineKeys, changed, leaseMs(set.timestamp) / 1000, this.#clock.now());
  }
}

/** @throws ServiceError role-not-publishable, ManifestError */
function readUploads(roles: readonly RoleUpload[]): readonly Upload[] {
  const fixed = roles.find(({ name }) => NOT_PUBLISHED.includes(name));
  if (fixed) throw new ServiceError('role-not-publishable', `${fixed.name} is not published here`);
  return roles.map(readUpload);
}

function readUpload({ name, metadata }: RoleUpload): Upload {
  const { role } = parseTargets(metadata);
  return { name, version: role.version, bytes: metadata, role };
}

function published(uploads: readonly Upload[], { snapshot, timestamp }: CompleteSet): Published {
  return {
    roles: new Map(uploads.map(({ name, version }) => [name, version])),
    snapshot: snapshot.role.version,
    timestamp: timestamp.role.version,
  };
}

function checkOnlineKeys({ roles }: Root, { snapshot, timestamp }: OnlineKeys): void {
  if (!roles.snapshot.keys.has(snapshot.keyid) || !roles.timestamp.keys.has(timestamp.keyid)) {
    throw new ServiceError(
      'online-keys-mismatch',
      'root names other snapshot and timestamp keys than this service has',
    );
  }
}
