// The verified fetcher that daemon and command share. It brings the trusted set up to what the service says, from
// pushed news or by fetching, and reads the namespaces as secrets. Updates run one after another, so an older
// answer never overwrites a newer one; callers of `refresh` that wait for the same update share it.
//
// A namespace that fails to verify fails alone: it is reported in `failures` and has no entry in `secrets`.
import { isLapseError } from '../manifest/errors.ts';
import type { LapseError } from '../manifest/errors.ts';
import { LIMITS } from '../manifest/limits.ts';
import type { Namespace, RealmId, SecretName } from '../manifest/names.ts';
import type { News } from '../manifest/realm/exchange.ts';
import { leaseMs } from '../manifest/realm/lease.ts';
import { namespaces, realmId } from '../manifest/realm/realm.ts';
import { readSecrets } from '../manifest/realm/secret.ts';
import type { Secret } from '../manifest/realm/secret.ts';
import { checkSuccession } from '../manifest/realm/succession.ts';
import {
  currentRole,
  currentSnapshot,
  trustRoot,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../manifest/tuf/trusted-set.ts';
import type { Verified } from '../manifest/tuf/metadata.ts';
import type { Targets } from '../manifest/tuf/targets.ts';
import type { TrustedSet } from '../manifest/tuf/trusted-set.ts';
import type { Clock } from './clock.ts';
import { ClientError } from './errors.ts';
import type { Transport } from './transport.ts';
import type { TrustStore } from './trust-store.ts';

export type Secrets = ReadonlyMap<SecretName, Secret>;

export interface RealmState {
  readonly set: TrustedSet;
  readonly secrets: ReadonlyMap<Namespace, Secrets>;
  readonly failures: ReadonlyMap<Namespace, LapseError>;
}

/** A state, and until when (boot time, milliseconds) the request that confirmed it renewed the lease. */
export interface Confirmed extends RealmState {
  readonly leaseEnd: number;
}

type Fetch = (file: string, maxBytes: number) => Promise<Uint8Array>;

export class Updater {
  readonly realm: RealmId;
  readonly #transport: Transport;
  readonly #store: TrustStore;
  readonly #clock: Clock;
  #state: RealmState;
  /** What each namespace was when it last verified, kept while it fails. */
  readonly #good = new Map<Namespace, { role: Verified<Targets>; secrets: Secrets }>();
  #saved: TrustedSet | undefined;
  #busy: Promise<unknown> = Promise.resolve();
  #waiting: Promise<Confirmed> | undefined;

  private constructor(
    transport: Transport,
    store: TrustStore,
    clock: Clock,
    realm: RealmId,
    set: TrustedSet,
  ) {
    this.realm = realm;
    this.#transport = transport;
    this.#store = store;
    this.#clock = clock;
    this.#state = { set, secrets: new Map(), failures: new Map() };
    this.#remember(set);
  }

  /** `anchor` is root 1, which came by a trusted way; what `store` saved takes precedence over it. */
  static async open(
    anchor: Uint8Array,
    storeFor: (realm: RealmId) => TrustStore,
    transport: Transport,
    clock: Clock,
  ): Promise<Updater> {
    const trusted = trustRoot(anchor);
    const realm = realmId(trusted.root);
    const store = storeFor(realm);
    return new Updater(transport, store, clock, realm, (await store.load()) ?? trusted);
  }

  get state(): RealmState {
    return this.#state;
  }

  /** Asks the service for the newest timestamp and follows it. The request is what renews the lease. */
  refresh(): Promise<Confirmed> {
    this.#waiting ??= this.#inTurn(async () => {
      this.#waiting = undefined;
      const sent = this.#clock.boot();
      const fetch: Fetch = (file, maxBytes) => this.#transport.metadata(file, maxBytes);
      const [set, newest] = await Promise.all([
        this.#nextRoots(this.#state.set),
        fetch('timestamp.json', LIMITS.timestampBytes),
      ]);
      const state = await this.#advance(set, newest, fetch);
      const timestamp = state.set.timestamp;
      return { ...state, leaseEnd: timestamp ? sent + leaseMs(timestamp) : 0 };
    });
    return this.#waiting;
  }

  /** Takes pushed news; files that it does not carry are fetched. It never renews a lease. */
  offer(news: News): Promise<RealmState> {
    return this.#inTurn(() =>
      this.#advance(this.#state.set, news.timestamp, async (file, maxBytes) => {
        const pushed = news.files.get(file);
        return pushed && pushed.length <= maxBytes ? pushed : this.#transport.metadata(file, maxBytes);
      }),
    );
  }

  /** Saves the state, if it moved and is whole. Apart from the updates, so that no revocation waits for a disk. */
  persist(): Promise<void> {
    return this.#inTurn(async () => {
      const { set } = this.#state;
      // A role that breaks with what came before must not become, after a restart, what is compared with.
      if (set === this.#saved || !currentSnapshot(set) || this.#state.failures.size > 0) return;
      await this.#store.save(set);
      this.#saved = set;
    });
  }

  /** What was read back from the disk is what the next version must succeed; nothing is served from it. */
  #remember(set: TrustedSet): void {
    const targets = currentRole(set, 'targets');
    for (const namespace of targets ? namespaces(targets) : []) {
      try {
        this.#read(set, namespace);
      } catch (error) {
        if (!isLapseError(error)) throw error;
      }
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#busy.then(work);
    this.#busy = turn.catch(() => undefined);
    return turn;
  }

  /** TUF 1.0.34 §5.3: root N+1 until there is none. */
  async #nextRoots(set: TrustedSet): Promise<TrustedSet> {
    for (let i = 0; i < LIMITS.rootRotations; i++) {
      try {
        const next = `${set.root.role.version + 1}.root.json`;
        set = updateRoot(set, await this.#transport.metadata(next, LIMITS.rootBytes));
      } catch (error) {
        if (error instanceof ClientError && error.code === 'not-found') break;
        throw error;
      }
    }
    return set;
  }

  /** TUF 1.0.34 §5.4–§5.6, from a timestamp down to every namespace; the state moves once, at the end. */
  async #advance(set: TrustedSet, timestamp: Uint8Array, fetch: Fetch): Promise<RealmState> {
    const now = this.#clock.now();
    const failures = new Map<Namespace, LapseError>();
    set = updateTimestamp(set, timestamp, now);
    set = await this.#snapshot(set, fetch, now);
    set = await this.#role(set, 'targets', fetch, now);
    const targets = currentRole(set, 'targets');
    for (const namespace of targets ? namespaces(targets) : []) {
      try {
        set = await this.#role(set, namespace, fetch, now);
      } catch (error) {
        if (!isLapseError(error)) throw error;
        failures.set(namespace, error);
      }
    }
    return this.#settle(set, failures);
  }

  /** A snapshot that is current already is verified again when it has expired since, to be refused. */
  async #snapshot(set: TrustedSet, fetch: Fetch, now: number): Promise<TrustedSet> {
    const current = currentSnapshot(set);
    if (current && current.role.expires > now) return set;
    const version = set.timestamp?.role.snapshot.version ?? 0;
    const bytes = current?.bytes ?? (await fetch(`${version}.snapshot.json`, LIMITS.snapshotBytes));
    return updateSnapshot(set, bytes, now);
  }

  /** Brings one targets role up to the snapshot; one that the snapshot does not list yet has published nothing. */
  async #role(set: TrustedSet, name: string, fetch: Fetch, now: number): Promise<TrustedSet> {
    const meta = currentSnapshot(set)?.role.roles.get(name);
    const current = currentRole(set, name);
    if (!meta || (current && current.role.expires > now)) return set;
    const bytes = current?.bytes ?? (await fetch(`${meta.version}.${name}.json`, LIMITS.targetsBytes));
    return updateTargets(set, name, bytes, now);
  }

  #settle(set: TrustedSet, failures: Map<Namespace, LapseError>): RealmState {
    const secrets = new Map<Namespace, Secrets>();
    const targets = currentRole(set, 'targets');
    for (const namespace of targets ? namespaces(targets) : []) {
      if (failures.has(namespace)) continue;
      try {
        secrets.set(namespace, this.#read(set, namespace));
      } catch (error) {
        if (!isLapseError(error)) throw error;
        failures.set(namespace, error);
      }
    }
    this.#state = { set, secrets, failures };
    return this.#state;
  }

  /** A role that did not move since it was last good is not read again; one that moved must be a successor. */
  #read(set: TrustedSet, namespace: Namespace): Secrets {
    const role = currentRole(set, namespace);
    const good = this.#good.get(namespace);
    if (!role) return new Map();
    if (good?.role === role) return good.secrets;
    const secrets = readSecrets(role.role, namespace);
    if (good) checkSuccession(good.secrets, secrets);
    this.#good.set(namespace, { role, secrets });
    return secrets;
  }
}
