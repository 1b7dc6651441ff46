// The verified fetcher that daemon and command share. It brings the trusted set up to what the service says, from
// pushed news or by fetching, and has it read as a realm. Updates run one after another, so an older answer never
// overwrites a newer one; callers that wait for the same update share it.
//
// A role that fails to verify fails alone: it is reported in `failures` and has no entry in what is read.
import { randomBytes } from 'node:crypto';
import { isLapseError } from '../manifest/errors.ts';
import type { LapseError } from '../manifest/errors.ts';
import { LIMITS } from '../manifest/limits.ts';
import type { RealmId } from '../manifest/names.ts';
import { NONCE_BYTES, checkEcho, confirms } from '../manifest/realm/echo.ts';
import type { Echo } from '../manifest/realm/echo.ts';
import type { News } from '../manifest/realm/exchange.ts';
import type { ProposedRole } from '../manifest/realm/proposal.ts';
import {
  FLEET,
  FLEET_HOSTS,
  checkRealmRoot,
  delegatorOf,
  realmId,
  revokerOf,
} from '../manifest/realm/realm.ts';
import { currentSnapshot, trustRoot } from '../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../manifest/tuf/trusted-set.ts';
import type { Clock } from './clock.ts';
import { ClientError } from './errors.ts';
import { imagine } from './imagined-realm.ts';
import { NOTHING_READ, Reading } from './reading.ts';
import type { RealmState, Wants } from './reading.ts';
import type { Transport } from './transport.ts';
import type { TrustStore } from './trust-store.ts';
import { UpdateCycle } from './update-cycle.ts';
import type { Fetch } from './update-cycle.ts';

/** A state that the service confirmed, by an answer to a nonce, to be the newest. */
export interface Renewed {
  readonly state: RealmState;
  /** Boot time, in milliseconds, when the nonce was sent. */
  readonly sentAt: number;
}

export interface UpdaterParts {
  /** Root 1, which came by a trusted way; what the store saved takes precedence over it. */
  readonly anchor: Uint8Array;
  readonly storeFor: (realm: RealmId) => TrustStore;
  readonly transport: Transport;
  readonly clock: Clock;
  /** Which namespaces to follow; all, when absent. Asked at each update, since policies and pools change. */
  readonly wants?: Wants;
}

/** How often a nonce is sent again because the realm moved meanwhile. */
const ECHOES = 4;

export class Updater {
  readonly realm: RealmId;
  readonly #transport: Transport;
  readonly #store: TrustStore;
  readonly #clock: Clock;
  readonly #reading: Reading;
  #state: RealmState;
  /** Whether `state` is what the service said, and not only what is remembered. */
  #isFresh = false;
  #saved: RealmState | undefined;
  #busy: Promise<unknown> = Promise.resolve();
  #refreshing: Promise<RealmState> | undefined;
  #persisting: Promise<unknown> = Promise.resolve();

  private constructor(
    { transport, clock }: UpdaterParts,
    store: TrustStore,
    realm: RealmId,
    reading: Reading,
    set: TrustedSet,
  ) {
    this.realm = realm;
    this.#transport = transport;
    this.#store = store;
    this.#clock = clock;
    this.#reading = reading;
    // What was read back from the disk is what the next version must succeed; nothing is served from it.
    reading.read(set, new Map());
    this.#state = { ...NOTHING_READ, set };
  }

  static async open(parts: UpdaterParts): Promise<Updater> {
    const trusted = trustRoot(parts.anchor);
    const realm = realmId(trusted.root);
    const store = parts.storeFor(realm);
    const { set, memory } = await store.load();
    const reading = new Reading(parts.wants ?? (() => true), memory);
    return new Updater(parts, store, realm, reading, set ?? trusted);
  }

  get state(): RealmState {
    return this.#state;
  }

  /** Asks the service for the newest timestamp and follows it. It renews no lease. */
  refresh(): Promise<RealmState> {
    this.#refreshing ??= this.#inTurn(async () => {
      this.#refreshing = undefined;
      const cycle = this.#cycle(this.#fetch);
      const [, newest] = await Promise.all([
        cycle.roots(),
        this.#fetch('timestamp.json', LIMITS.timestampBytes),
      ]);
      await cycle.timestamp(newest);
      return this.#advance(cycle);
    });
    return this.#refreshing;
  }

  /**
   * Sends a nonce and follows the service until it confirms what this client holds: only that renews a lease.
   * @throws ClientError realm-moving: the realm changed faster than it could be followed
   */
  async renew(): Promise<Renewed> {
    let stranger: LapseError | undefined;
    for (let attempt = 0; attempt < ECHOES; attempt++) {
      const nonce = randomBytes(NONCE_BYTES).toString('hex');
      const sentAt = this.#clock.boot();
      const echo = this.#readEcho(await this.#transport.echo(nonce), nonce);
      if (isLapseError(echo)) {
        stranger = echo;
      } else if (confirms(echo, this.#state.set)) {
        // Looked at again, for below the timestamp something may have expired since, or failed for a passing reason.
        const state = await this.#inTurn(() => this.#advance(this.#cycle(this.#fetch)));
        if (confirms(echo, state.set)) return { state, sentAt };
      }
      await this.refresh();
    }
    throw stranger ?? new ClientError('realm-moving', 'the realm changes faster than it can be followed');
  }

  /** Or why it is signed by nobody who is known here: the next root may name them. */
  #readEcho(bytes: Uint8Array, nonce: string): Echo | LapseError {
    try {
      return checkEcho(this.#state.set, bytes, nonce);
    } catch (error) {
      if (isLapseError(error) && error.code === 'signature-threshold') return error;
      throw error;
    }
  }

  /** Takes pushed news; files that it does not carry are fetched. It never renews a lease. */
  offer(news: News): Promise<RealmState> {
    const fetch: Fetch = async (file, maxBytes) => {
      const pushed = news.files.get(file);
      return pushed && pushed.length <= maxBytes ? pushed : this.#fetch(file, maxBytes);
    };
    return this.#inTurn(async () => {
      const cycle = this.#cycle(fetch);
      if (hasNextRoot(news, cycle.set)) await cycle.roots();
      await cycle.timestamp(news.timestamp);
      return this.#advance(cycle);
    });
  }

  /**
   * The realm as it would read with a change that is not signed by enough yet; what is trusted does not move.
   * @throws LapseError what would not verify with it
   */
  imagine(roles: readonly ProposedRole[]): RealmState {
    return imagine(this.#state, this.#reading.memory(this.#state), roles);
  }

  /**
   * Saves the state, if it moved, without what fails: a role that breaks with what came before must not become, after
   * a restart, what is compared with. Apart from the updates, so that no revocation waits for a disk.
   */
  persist(): Promise<void> {
    const turn = this.#persisting.then(async () => {
      const state = this.#state;
      if (state === this.#saved || !currentSnapshot(state.set)) return;
      const failing = new Set(this.#reading.failing(state.failures));
      await this.#store.save(state.set, this.#reading.memory(state), failing);
      this.#saved = state;
    });
    this.#persisting = turn.catch(() => undefined);
    return turn;
  }

  readonly #fetch: Fetch = (file, maxBytes) => this.#transport.metadata(file, maxBytes);

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#busy.then(work);
    this.#busy = turn.catch(() => undefined);
    return turn;
  }

  #cycle(fetch: Fetch): UpdateCycle {
    return new UpdateCycle(this.#state.set, { fetch, now: this.#clock.now() });
  }

  /** TUF 1.0.34 §5.5–§5.6, from the snapshot down to every role that is followed; the state moves once, at the end. */
  async #advance(cycle: UpdateCycle): Promise<RealmState> {
    checkRealmRoot(cycle.set.root.role);
    const failures = new Map<string, LapseError>();
    await cycle.snapshot();
    await this.#role(cycle, 'targets');
    const bring = async (role: string, failsAs: string): Promise<void> => {
      try {
        if (!failures.has(delegatorOf(role))) await this.#role(cycle, role);
      } catch (error) {
        if (!isLapseError(error)) throw error;
        failures.set(failsAs, error);
      }
    };
    await bring(FLEET, FLEET);
    await bring(FLEET_HOSTS, FLEET_HOSTS);
    for (const namespace of this.#reading.followed(cycle.set)) {
      await bring(namespace, namespace);
      await bring(revokerOf(namespace), namespace);
    }
    const { set } = cycle;
    const moved = set !== this.#state.set || failures.size > 0 || this.#state.failures.size > 0;
    if (moved || !this.#isFresh) this.#state = this.#reading.read(set, failures);
    this.#isFresh = true;
    return this.#state;
  }

  /** One that the snapshot does not list yet has published nothing. */
  async #role(cycle: UpdateCycle, name: string): Promise<void> {
    const isListed = currentSnapshot(cycle.set)?.role.roles.has(name) ?? false;
    if (isListed) await cycle.role(name, name === 'targets' ? 'root' : delegatorOf(name));
  }
}

/** Whether news comes with a root after the trusted one: it says who may sign the rest. */
function hasNextRoot({ files }: News, { root }: TrustedSet): boolean {
  return [...files.keys()].some((file) => {
    const version = /^(\d{1,15})\.root\.json$/.exec(file)?.[1];
    return version !== undefined && Number(version) > root.role.version;
  });
}
