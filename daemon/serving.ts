// What this host serves right now: brings the vault, the views and the kernel's caches to what the verified realm
// says. A revocation begins in the vault: the slot's state flips and its key and plaintext are zeroed, at once, for both
// threads; the presenter does the rest. Loading runs apart from this and never delays a withdrawal. Until all of the
// first verified realm was loaded, or could not be, nothing counts as absent, and nothing is withdrawn.
import type { Clock } from '../client/clock.ts';
import type { RealmState, Secrets } from '../client/reading.ts';
import type { LapseError } from '../manifest/errors.ts';
import type { Namespace, PoolName, RealmId, TargetPath } from '../manifest/names.ts';
import type { ServiceMoment } from '../manifest/realm/exchange.ts';
import type { Secret } from '../manifest/realm/secret.ts';
import { liveVersions } from '../manifest/realm/succession.ts';
import { Effects } from './effects.ts';
import type { Moments, Withdrawn } from './effects.ts';
import type { Entitlement } from './entitlement.ts';
import type { RegisteredWorkload } from './identity/workloads.ts';
import { WorkloadRegistry } from './identity/workloads.ts';
import { layOut } from './layout.ts';
import type { Held } from './layout.ts';
import type { Leases } from './leases.ts';
import type { Loader, Order } from './loader.ts';
import { Overlaps } from './overlaps.ts';
import { Presenter } from './presenter.ts';
import type { Announce, Record } from './presenter.ts';
import type { Invalidator, Server } from './server.ts';
import { EMPTY_TABLE } from './table.ts';
import type { ServedFile, Table } from './table.ts';
import type { Loaded, Vault } from './vault/vault.ts';
import { Watchers } from './watchers.ts';

const NOTHING_PUSHED: ReadonlyMap<string, Uint8Array> = new Map();
/**
 * How far the clocks of both threads may be apart, in milliseconds: each is good to 20 ms (client/clock.ts). For so long after the
 * end of a lease the serving thread may still let somebody map what was withdrawn here.
 */
const CLOCKS_MS = 50;

/** A verified state, when the news of it came and when it was verified; nanoseconds of CLOCK_MONOTONIC. */
export interface Arrival {
  readonly state: RealmState;
  readonly entitlement: Entitlement;
  readonly receivedAt: bigint;
  readonly verifiedAt: bigint;
  /** When the service says that it sent the news, if it was pushed. */
  readonly pushed?: ServiceMoment;
}

/** What is in effect from now on: everything of a state, but for the versions that are not here yet, or cannot be. */
export interface InEffect {
  readonly arrival: Arrival;
  /** Namespaces of which something is still on its way. */
  readonly pending: ReadonlySet<Namespace>;
  /** Why something of a namespace cannot be served here. */
  readonly unserved: ReadonlyMap<Namespace, LapseError>;
  readonly withdrawn: Withdrawn;
  readonly table: Table;
  readonly moments: Moments;
  /** When the slots of what went were zero and free; absent where none were. Nanoseconds, as the moments. */
  readonly zeroedAt?: bigint;
}

export interface ServingParts {
  readonly realm: RealmId;
  readonly clock: Clock;
  readonly leases: Leases;
  readonly vault: Vault;
  readonly server: Server;
  readonly record: Record;
  /** Told of what went wrong while something was shown; the daemon cannot go on without that. */
  readonly onFailure: (error: unknown) => void;
  /** Told after each change of what is served, and of what was waited for. */
  readonly onEffect?: (effect: InEffect) => void;
}

export class Serving {
  readonly effects: Effects;
  readonly #parts: ServingParts;
  #presenter: Presenter | undefined;
  /** Since when this host has had what an earlier server of it told of; seconds since the epoch. */
  #since: ReadonlyMap<TargetPath, number> = new Map();
  #workloads = new WorkloadRegistry();
  readonly #overlaps: Overlaps;
  readonly #held = new Map<TargetPath, Held>();
  #loader: Loader | undefined;
  readonly #server: Server;
  #arrival: Arrival | undefined;
  #secrets: ReadonlyMap<Namespace, Secrets> = new Map();
  /** Stays with a namespace that does not verify. */
  #pools: ReadonlyMap<Namespace, readonly PoolName[]> = new Map();
  /** What was revoked in the vault and is not zeroed yet: its slot. */
  #dead = new Map<TargetPath, number>();
  #table: Table = EMPTY_TABLE;
  #problems: readonly LapseError[] = [];
  #showing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  readonly #settled = Promise.withResolvers<undefined>();
  #idle = Promise.withResolvers<undefined>();
  #isSettled = false;
  /** Files of which nothing is mapped any more, since their lease is over: by node, that lease's end. */
  #unmapped: ReadonlyMap<number, number> = new Map();
  /** Files that an earlier server may have let somebody map. */
  #inherited: ReadonlySet<number> = new Set();
  #resting = false;
  #ended = false;

  constructor(parts: ServingParts) {
    this.#parts = parts;
    this.#overlaps = new Overlaps(parts.clock);
    this.effects = new Effects(parts.clock);
    this.#server = { ...parts.server, invalidator: this.#counting(parts.server.invalidator) };
  }

  /** Whether anything is shown, or only made ready. */
  get begun(): boolean {
    return this.#presenter !== undefined;
  }

  /** When everything that the first verified realm asks for is served. */
  get settled(): Promise<undefined> {
    return this.#settled.promise;
  }

  /**
   * When nothing that is asked for is still on its way; what failed is not waited for. For who hands over: what the one
   * before showed under a name must not give way to an older version.
   */
  async loaded(): Promise<void> {
    while (this.#loader?.idle === false) await this.#idle.promise;
  }

  /** Whether something could not be fetched, and may be when it is asked for again. */
  get isShort(): boolean {
    return this.#loader?.isWorthAnother ?? false;
  }

  get table(): Table {
    return this.#table;
  }

  get workloads(): readonly RegisteredWorkload[] {
    return this.#workloads.list();
  }

  get problems(): readonly LapseError[] {
    const exceeding = this.#arrival?.entitlement.exceeding ?? [];
    return [...this.#problems, ...exceeding, ...(this.#loader?.failures.values() ?? [])];
  }

  loadWith(makeLoader: (events: ConstructorParameters<typeof Loader>[3]) => Loader): void {
    this.#loader = makeLoader({
      wanted: (path) =>
        !this.#ended && !this.#held.has(path) && this.#living().some(({ live }) => live.path === path),
      loaded: (path, loaded) => this.#take(path, loaded),
      idle: () => this.#settle(),
    });
  }

  /**
   * Serves a newly verified state. A namespace that failed to verify stays as it was (its lease, which is not renewed then,
   * will deny it); one that is denied, and everything when this host is no member, ends at once. Resolves when
   * everything that had to go is gone.
   */
  async apply(arrival: Arrival, pushed = NOTHING_PUSHED): Promise<void> {
    if (this.#ended) return;
    const { entitlement, receivedAt } = arrival;
    this.effects.received(receivedAt);
    this.#arrival = arrival;
    const { failing, denied, record } = entitlement;
    const kept = [...this.#secrets].filter(([namespace]) => failing.has(namespace));
    this.#secrets = new Map([...kept, ...entitlement.secrets]);
    this.#pools = entitlement.pools;
    const { leases } = this.#parts;
    const isOver = record ? [...denied].map((namespace) => leases.place(namespace)) : undefined;
    leases.lapse(isOver);
    const over = new Set(isOver ?? this.#table.files.map(({ lease }) => lease));
    await Promise.all([this.#withdrawMappings(({ lease }) => over.has(lease)), this.#bring(pushed)]);
  }

  /** There are other keys: what could not be opened is asked for again. */
  retry(): void {
    if (!this.#ended) this.#attend(this.#bring(NOTHING_PUSHED));
  }

  register(entry: RegisteredWorkload): Promise<void> {
    this.#workloads.register(entry);
    return this.#show();
  }

  unregister(id: string): Promise<void> {
    this.#workloads.unregister(id);
    return this.#show();
  }

  /**
   * Before this, everything is made ready and nothing is shown. `told` is what an earlier server may have told the
   * kernel, and the workloads are those that it knew.
   */
  begin(told: Table, workloads: WorkloadRegistry): Promise<void> {
    const { record } = this.#parts;
    const server = this.#server;
    this.#workloads = workloads;
    const groups = new Map(workloads.list().map(({ cgroup, workload }) => [cgroup, workload]));
    const watchers = new Watchers({ ...told, groups });
    // What was withdrawn before this does not count: the one before may have served it again since.
    this.#unmapped = new Map();
    this.#inherited = new Set(told.files.map(({ node }) => node));
    this.#since = new Map(told.files.map(({ path, mtime }) => [path, mtime]));
    for (const [path, held] of this.#held) this.#held.set(path, { ...held, since: this.#sinceOf(path) });
    this.#presenter = new Presenter({ server, record, told, effects: this.effects, watchers });
    return this.#show();
  }

  #sinceOf(path: TargetPath): number {
    return this.#since.get(path) ?? Math.floor(this.#parts.clock.now() / 1000);
  }

  /** Once a second: containers that ended without a word. */
  sweep(): void {
    if (this.#workloads.sweep()) this.#attend(this.#show());
  }

  /** Ten times a second: overlaps that ended, and mappings of what the lease no longer admits (an mmap never asks). */
  tick(): void {
    const living = new Set(this.#living().map(({ live }) => live.path));
    if ([...this.#held.keys()].some((path) => !living.has(path))) this.#attend(this.#bring(NOTHING_PUSHED));
    this.#attend(this.#unmapLapsed());
  }

  /**
   * Shows nothing new any more; resolves when what was being shown is. For who hands over: the next one then writes the
   * record, and tells the kernel and whoever watches.
   */
  async rest(): Promise<void> {
    this.#resting = true;
    await this.#showing.catch(() => undefined);
  }

  /** Denies everything, also what is mapped; for shutdown. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#parts.leases.lapse();
    this.#parts.vault[Symbol.dispose]();
    await this.#withdrawMappings();
  }

  #bring(pushed: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const orders = this.#living();
    const living = new Set(orders.map(({ live }) => live.path));
    for (const [path, { slot }] of this.#held) {
      if (living.has(path)) continue;
      this.#parts.vault.revoke(slot);
      this.#held.delete(path);
      this.#dead.set(path, slot);
    }
    // An overlap that has ended must not begin anew, so it is remembered for as long as the version is listed.
    this.#overlaps.keep(
      new Set(
        this.#allSecrets()
          .flatMap(liveVersions)
          .map(({ path }) => path),
      ),
    );
    this.#loader?.forget(living);
    this.#loader?.request(
      orders.filter(({ live }) => !this.#held.has(live.path)),
      pushed,
    );
    if (this.#loader?.idle ?? true) this.#isSettled = true;
    return this.#show();
  }

  /** The loader has nothing left to do. Not settled by it: a realm that was never verified asks for nothing. */
  #settle(): void {
    this.#idle.resolve(undefined);
    this.#idle = Promise.withResolvers<undefined>();
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#attend(this.#show());
  }

  #living(): readonly Order[] {
    const { realm } = this.#parts;
    return this.#allSecrets().flatMap((secret) =>
      this.#overlaps.living(secret).map((live) => {
        const { namespace, name } = secret;
        const pools = this.#pools.get(namespace) ?? [];
        return { live, pools, context: { realm, namespace, name, version: live.version } };
      }),
    );
  }

  #allSecrets(): readonly Secret[] {
    return [...this.#secrets.values()].flatMap((secrets) => [...secrets.values()]);
  }

  #take(path: TargetPath, loaded: Loaded): void {
    this.#held.set(path, { ...loaded, since: this.#sinceOf(path) });
    this.#attend(this.#show());
  }

  /**
   * One after another; a caller that comes while one waits its turn shares it. Nobody waits for watchers to be told: who
   * follows the news must hear of a revocation that cuts that short.
   */
  #show(): Promise<void> {
    this.#next ??= this.#showing.then(async () => {
      this.#next = undefined;
      const shown = this.#showNow();
      this.#showing = shown.then((announce) => announce?.(() => this.#resting || this.#next !== undefined));
      this.#attend(this.#showing);
      await shown;
    });
    return this.#next;
  }

  /** What is left to do then: to tell watchers. */
  async #showNow(): Promise<Announce | undefined> {
    if (this.#resting) return undefined;
    const dead = this.#dead;
    this.#dead = new Map();
    const settled = this.#isSettled;
    const { leases } = this.#parts;
    const { table, problems } = layOut(
      this.#allSecrets(),
      this.#held,
      this.#workloads.list(),
      (namespace) => leases.place(namespace),
      !settled,
    );
    const basis = this.#basis();
    this.#table = table;
    this.#problems = problems;
    const presenter = this.#presenter;
    let announce: Announce | undefined;
    if (settled) announce = await presenter?.settled(table, new Set(dead.keys()));
    else await presenter?.unsettled(table);
    for (const slot of dead.values()) this.#parts.vault.reclaim(slot);
    const zeroed = dead.size > 0 ? { zeroedAt: this.#parts.clock.monotonic() } : {};
    if (settled) this.#settled.resolve(undefined);
    if (presenter && settled && basis) {
      const { moments } = this.effects;
      const withdrawn = this.effects.takeWithdrawn();
      this.#parts.onEffect?.({ ...basis, withdrawn, table, moments, ...zeroed });
    }
    return announce;
  }

  /** What will be in effect with the table that is laid out now. */
  #basis(): Pick<InEffect, 'arrival' | 'pending' | 'unserved'> | undefined {
    const arrival = this.#arrival;
    if (!arrival) return undefined;
    const pending = new Set<Namespace>();
    const unserved = new Map(arrival.entitlement.ignored);
    for (const { live, context } of this.#living()) {
      if (this.#held.has(live.path)) continue;
      const failure = this.#loader?.failures.get(live.path);
      if (failure) unserved.set(context.namespace, failure);
      else pending.add(context.namespace);
    }
    return { arrival, pending, unserved };
  }

  /**
   * A lease that is over lets no mapping live; one that never began, or was ended at once, has none, but of an earlier server.
   * Not once for each file but for each lease: this thread may have been stopped, so that it has missed a whole one. And once
   * more, when the serving thread must have noticed the end as well.
   */
  async #unmapLapsed(): Promise<void> {
    const { leases } = this.#parts;
    const isOver = (file: ServedFile): boolean =>
      !leases.admits(file) && (leases.end(file.lease) > 0 || this.#inherited.has(file.node));
    const over = new Map(
      this.#table.files.filter(isOver).map(({ node, lease }) => [node, leases.end(lease)] as const),
    );
    const before = this.#unmapped;
    const now = this.#parts.clock.boot();
    this.#unmapped = new Map([...over].filter(([, end]) => now >= end + CLOCKS_MS));
    const fresh = [...over].filter(([node, end]) => before.get(node) !== end);
    await Promise.all(fresh.map(([node]) => this.#server.invalidator.pages(node)));
  }

  async #withdrawMappings(which: (file: ServedFile) => boolean = () => true): Promise<void> {
    const files = this.#table.files.filter(which);
    await Promise.all(files.map(({ node }) => this.#server.invalidator.pages(node)));
  }

  #counting(real: Invalidator): Invalidator {
    return {
      ...real,
      pages: (node) => {
        this.effects.invalidated();
        return real.pages(node);
      },
    };
  }

  #attend(work: Promise<void>): void {
    work.catch(this.#parts.onFailure);
  }
}
