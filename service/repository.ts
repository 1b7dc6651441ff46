// The realm as the service offers it: begun once, changed by publishes, read by name. A publish is verified by the
// functions that clients run, then held against what it replaces, then stored whole; it is durable when the promise
// resolves. Nothing here can sign for a namespace or open an envelope.
import { ManifestError } from '../manifest/errors.ts';
import type { RealmId } from '../manifest/names.ts';
import { signEcho } from '../manifest/realm/echo.ts';
import type {
  Genesis,
  News,
  OnlineKeys,
  Publish,
  Published,
  RoleUpload,
  RootChange,
} from '../manifest/realm/exchange.ts';
import { leaseMs } from '../manifest/realm/lease.ts';
import { asVerified, readProposal } from '../manifest/realm/proposal.ts';
import type { ProposedRole } from '../manifest/realm/proposal.ts';
import { FLEET, FLEET_HOSTS, checkRealmRoot, delegatorOf, realmId } from '../manifest/realm/realm.ts';
import type { Verified } from '../manifest/tuf/metadata.ts';
import { parseRoot } from '../manifest/tuf/root.ts';
import { parseTargets } from '../manifest/tuf/targets.ts';
import type { Targets } from '../manifest/tuf/targets.ts';
import { currentRole, trustRoot, updateRoot, updateTargets } from '../manifest/tuf/trusted-set.ts';
import type { Clock } from './clock.ts';
import { complete, readRole, storedVersion } from './current.ts';
import type { CompleteSet, Current } from './current.ts';
import { ServiceError } from './errors.ts';
import { Ledger } from './ledger.ts';
import type { Plan } from './ledger.ts';
import { readNews } from './news.ts';
import type { OnlineKeyRing } from './online-keys.ts';
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
  readonly #keys: OnlineKeyRing;
  readonly #store: Store;
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  /** A read of the newest timestamp that has not begun yet, for all whose question came before it does. */
  #nextRead: Promise<Current> | undefined;

  private constructor(store: Store, keys: OnlineKeyRing, clock: Clock) {
    this.#keys = keys;
    this.#store = store;
    this.#ledger = new Ledger(store);
    this.#clock = clock;
  }

  /** @throws ServiceError online-keys-mismatch, if root names other keys than are here; store-corrupt */
  static async open(store: Store, keys: OnlineKeyRing, clock: Clock): Promise<Repository> {
    const repository = new Repository(store, keys, clock);
    const current = await repository.#ledger.find();
    if (current) keys.settle(current.set.root.role);
    return repository;
  }

  async exists(): Promise<boolean> {
    return (await this.#ledger.find()) !== undefined;
  }

  /** The public halves of the keys in use, and of those that wait for a root. */
  onlineKeys(): OnlineKeys {
    return this.#keys.publicHalves();
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
    const next = nextState(born, this.#keys.of(born.root.role), uploads, lease, this.#clock.now());
    await reviewPublish(BORN_WITH, [], {
      before: () => Promise.resolve(undefined),
      after: (name) => Promise.resolve(currentRole(next, name)),
    });
    const plan = { next, changed: uploads, files: NO_FILES, isNewRoot: true };
    await this.#ledger.begin(realmId(born.root), plan);
    return this.#published(uploads, next);
  }

  /** @throws ServiceError conflict, role-not-publishable, realm-missing, file-*, store-*; ManifestError */
  async publish({ roles, files }: Publish): Promise<Published> {
    const uploads = readUploads(roles);
    const next = await this.#ledger.change((current) => this.#plan(current, uploads, files));
    return this.#published(uploads, next);
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

  /**
   * The next root (TUF 1.0.34 §5.3), with the next targets where root gives those other keys. Snapshot and timestamp are
   * signed again by the keys that it names, and the service signs with no others from then on.
   * @throws ServiceError conflict, online-keys-mismatch, role-not-publishable, realm-missing, store-*; ManifestError
   */
  async changeRoot({ root, roles }: RootChange): Promise<Published> {
    const other = roles.find(({ name }) => name !== 'targets');
    if (other || roles.length > 1) {
      throw new ServiceError('role-not-publishable', 'only targets is published with a root');
    }
    const uploads = roles.map(readUpload);
    const { role } = parseRoot(root);
    const next = await this.#ledger.change((current) => this.#planRoot(current, root, uploads));
    this.#keys.settle(next.root.role);
    return this.#published([{ name: 'root', version: role.version }, ...uploads], next);
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
    const { root, timestamp } = (await this.#nextRead).set;
    const newest = { version: timestamp.role.version, sha256: timestamp.sha256 };
    return signEcho(newest, nonce, [this.#keys.of(root.role).timestamp]);
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

  async #planRoot(current: Current, root: Uint8Array, uploads: readonly Upload[]): Promise<Plan> {
    const { set } = current;
    checkVersionFollows('root', parseRoot(root).role.version, set.root.role.version);
    for (const { name, version } of uploads) checkVersionFollows(name, version, storedVersion(set, name));
    const under = updateRoot(set, root);
    checkRealmRoot(under.root.role);
    const signers = this.#keys.of(under.root.role);
    const lease = leaseMs(set.timestamp) / 1000;
    const signed = nextState(under, signers, uploads, lease, this.#clock.now(), set);
    const next = withTargets(signed, set);
    await reviewPublish(
      uploads.map(({ name }) => name),
      [],
      {
        before: (name) => readRole(this.#store, current, name),
        after: (name) => Promise.resolve(currentRole(next, name)),
      },
    );
    return { next, changed: uploads, files: NO_FILES, isNewRoot: true };
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
    const now = this.#clock.now();
    // Nothing can be signed under a root that has expired; but what is there must be had, to sign the next one.
    if (isTimestampFresh(current.set, now) || current.set.root.role.expires <= now) return current;
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

  /** Asked for right after the commit. */
  #published(
    uploads: readonly Pick<Upload, 'name' | 'version'>[],
    { snapshot, timestamp }: CompleteSet,
  ): Published {
    return {
      roles: new Map(uploads.map(({ name, version }) => [name, version])),
      snapshot: snapshot.role.version,
      timestamp: timestamp.role.version,
      at: this.#clock.monotonicUs(),
      boot: this.#clock.bootId,
    };
  }

  #sign(set: CompleteSet, changed: readonly Upload[]): CompleteSet {
    const signers = this.#keys.of(set.root.role);
    return nextState(set, signers, changed, leaseMs(set.timestamp) / 1000, this.#clock.now());
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

/**
 * With `targets` as it was, unless it is there anew: it must be signed as the new root asks; that it may have expired is not
 * root's concern.
 */
function withTargets(next: CompleteSet, before: CompleteSet): CompleteSet {
  const targets = before.targets.get('targets');
  if (!targets || currentRole(next, 'targets')) return next;
  return complete(updateTargets(next, 'targets', targets.bytes));
}
