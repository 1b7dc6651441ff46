// Follows the service. News is pushed over one stream, and is in effect before the next is taken; besides, a nonce is sent in
// the middle third of the shortest lease, since only its answer renews leases, and more often while the stream is down or a
// namespace has none yet. Each answer is verified before anything happens; a failure changes nothing, and the leases run
// on. What was verified is saved a moment later, since no revocation waits for a disk; but nothing is renewed by
// what could not be saved. A drill may cut the host off from one namespace, for a time that is set beforehand.
import type { Clock } from '../client/clock.ts';
import { ClientError } from '../client/errors.ts';
import type { RealmState } from '../client/reading.ts';
import type { Transport } from '../client/transport.ts';
import type { Renewed, Updater } from '../client/updater.ts';
import type { LapseError } from '../manifest/errors.ts';
import type { Namespace } from '../manifest/names.ts';
import type { ServiceMoment } from '../manifest/realm/exchange.ts';
import { leaseMs } from '../manifest/realm/lease.ts';
import { FLEET } from '../manifest/realm/realm.ts';
import { clockAhead } from './clock-ahead.ts';
import { cutOff, entitlementOf, leaseLengths } from './entitlement.ts';
import type { Entitlement, Self } from './entitlement.ts';
import type { Keyring } from './host/keyring.ts';
import type { Leases } from './leases.ts';
import type { Log } from './log.ts';
import type { Serving } from './serving.ts';

/** Milliseconds. While the stream is down, or nothing was renewed, a nonce is sent at least this often. */
const POLL_MS = 2000;
/** What is still asked for when nothing is to be had: by a host that was removed. */
const SLOW_MS = 30_000;
const RETRY_MS = { least: 100, most: 5000 } as const;
/** News is saved so long after it came, in milliseconds: then receipts are on their way, and a burst of it is saved once. */
const SAVE_AFTER_MS = 200;

const NOTHING_PUSHED: ReadonlyMap<string, Uint8Array> = new Map();

export interface FollowerParts {
  readonly self: Self;
  readonly updater: Updater;
  readonly transport: Transport;
  readonly keyring: Keyring;
  readonly serving: Serving;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Log;
}

/** Why each of them failed the last time, until it succeeds. */
type Attempt = 'renewal' | 'stream' | 'saving';

interface Latest {
  readonly state: RealmState;
  readonly entitlement: Entitlement;
  /** Whose news is left out of it. */
  readonly cut: Namespace | undefined;
}

export class Follower {
  readonly #parts: FollowerParts;
  readonly #errors = new Map<Attempt, string>();
  /** The problems that were logged already, and still are there. */
  #told = new Set<string>();
  #latest: Latest | undefined;
  #sentAt = 0;
  #streaming = false;
  /** When the stream broke the last time; boot time in milliseconds. */
  #brokenAt = 0;
  #isAsked = false;
  #isRefused = false;
  #isToBeSaved = false;
  #saving: Promise<void> = Promise.resolve();
  /** The namespace that this host hears nothing of. */
  #cut: Namespace | undefined;
  readonly #renewed = Promise.withResolvers<undefined>();
  readonly #untilRenewal = new Nap();
  #untilStream = new Nap();

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  get streaming(): boolean {
    return this.#streaming;
  }

  /** When leases were renewed for the first time, as far as they could be: news alone renews none. */
  get renewed(): Promise<undefined> {
    return this.#renewed.promise;
  }

  /** Why there is no news, or why it could not be saved. */
  get lastError(): string | undefined {
    const [renewal, saving] = [this.#errors.get('renewal'), this.#errors.get('saving')];
    return renewal ?? saving ?? (this.#streaming ? undefined : this.#errors.get('stream'));
  }

  /** What this host may serve, as verified last. */
  get entitlement(): Entitlement | undefined {
    return this.#latest?.entitlement;
  }

  /** What keeps this host, or a namespace on it, from being served. */
  get problems(): readonly LapseError[] {
    const { state, entitlement } = this.#latest ?? {};
    return [
      ...(entitlement?.refusal ? [entitlement.refusal] : []),
      ...(state?.failures.values() ?? []),
      ...this.#parts.keyring.problems,
    ];
  }

  /**
   * From now on nothing is heard of a namespace: what is served of it stays, and its lease is not renewed, whatever is on its
   * way. Everything else goes on. It ends after `ms`, or when the signal aborts; resolves when what was missed is in effect.
   */
  async cutOff(namespace: Namespace, ms: number, signal: AbortSignal): Promise<void> {
    if (this.#cut !== undefined) throw new RangeError('one cut at a time');
    const { clock, log } = this.#parts;
    this.#cut = namespace;
    log.warn(`a drill: nothing is heard of ${namespace} for ${ms} ms`);
    await clock.sleep(ms, signal);
    this.#cut = undefined;
    log.info(`a drill: ${namespace} is heard of again`);
    this.#ask();
    await this.apply();
  }

  /** Until the signal aborts; then what was verified last is saved, too. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#poll(signal), this.#listen(signal)]);
    await this.#saving;
  }

  /**
   * Serves what the updater has verified last. Resolves when everything that had to go is gone. `receivedAt` is when the news
   * came, in nanoseconds of CLOCK_MONOTONIC; `pushed` are files that came with it, `sent` is when the service sent them.
   */
  async apply(
    pushed = NOTHING_PUSHED,
    receivedAt = this.#parts.clock.monotonic(),
    sent?: ServiceMoment,
  ): Promise<void> {
    const { updater, keyring, serving, clock } = this.#parts;
    const { state } = updater;
    const verifiedAt = clock.monotonic();
    const entitlement = this.#entitlementOf(state);
    const isNewMember = entitlement.record !== undefined && this.#latest?.entitlement.record === undefined;
    this.#latest = { state, entitlement, cut: this.#cut };
    this.#tell(state);
    keyring.follow(state, entitlement.record, pushed);
    const arrival = { state, entitlement, receivedAt, verifiedAt, ...(sent && { pushed: sent }) };
    await serving.apply(arrival, pushed);
    if (isNewMember) this.#untilStream.end();
  }

  #entitlementOf(state: RealmState): Entitlement {
    const { self } = this.#parts;
    const known = this.#latest;
    const isKnown = known?.state === state && known.cut === this.#cut;
    if (isKnown) return known.entitlement;
    const whole = entitlementOf(state, self);
    return this.#cut === undefined ? whole : cutOff(whole, this.#cut);
  }

  async #poll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#attempt('renewal', signal, () => this.#renew(signal));
      await this.#untilDue(signal);
    }
  }

  /** Until a nonce is to be sent, which is sooner when the stream breaks meanwhile. */
  async #untilDue(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const random = Math.random();
    const begun = clock.boot();
    while (!signal.aborted && !this.#isAsked) {
      const left = this.#dueAt(begun, random) - clock.boot();
      if (left <= 0) break;
      await this.#untilRenewal.sleep(clock, left, signal);
    }
    this.#isAsked = false;
  }

  /** A nonce is to be sent now. */
  #ask(): void {
    this.#isAsked = true;
    this.#untilRenewal.end();
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { updater, transport, clock } = this.#parts;
    const receivedAt = clock.monotonic();
    const renewed = await updater.renew().catch(async (error: unknown) => {
      throw await clockAhead(error, updater.state.set, transport, clock);
    });
    // The newest state, not the one that was confirmed: what came since may be a revocation.
    await this.apply(NOTHING_PUSHED, receivedAt);
    await this.#save();
    if (!signal.aborted) this.#extend(renewed);
  }

  /** What was confirmed, and still stands. */
  #extend({ state, sentAt }: Renewed): void {
    const { leases } = this.#parts;
    const latest = this.#latest;
    const { timestamp } = state.set;
    if (!latest || !timestamp) return;
    this.#sentAt = sentAt;
    const confirmed = leaseLengths(state, this.#entitlementOf(state));
    const standing = leaseLengths(latest.state, latest.entitlement);
    for (const [namespace, ms] of confirmed) {
      const most = standing.get(namespace);
      if (most !== undefined && !latest.entitlement.denied.has(namespace))
        leases.renew(sentAt, Math.min(ms, most), leases.place(namespace));
    }
    if (isWhole(state) && isWhole(latest.state) && latest.entitlement.record)
      leases.renew(sentAt, leaseMs(timestamp));
    this.#renewed.resolve(undefined);
  }

  /** When the next nonce is to be sent, after what `begun` ended; `random` spreads the hosts. */
  #dueAt(begun: number, random: number): number {
    const { timestamp } = this.#parts.updater.state.set;
    const { state, entitlement } = this.#latest ?? {};
    if (entitlement?.refusal?.code === 'host-removed') return begun + SLOW_MS;
    if (!timestamp || !state || !entitlement) return begun + POLL_MS;
    const shortest = Math.min(leaseMs(timestamp), ...leaseLengths(state, entitlement).values());
    if (this.#errors.has('renewal') || this.#isShort) return begun + Math.min(POLL_MS, shortest / 6);
    const due = this.#sentAt + (shortest * (1 + random)) / 3;
    if (this.#streaming) return due;
    return Math.min(due, Math.max(begun, this.#brokenAt) + (POLL_MS * (1 + random)) / 2);
  }

  /** Something of what was verified could not be fetched: it is looked at again soon. */
  get #isShort(): boolean {
    const { serving, keyring } = this.#parts;
    return serving.isShort || keyring.problems.some((problem) => problem instanceof ClientError);
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { transport, clock, updater } = this.#parts;
    let lastId: string | undefined;
    for (let pause: number = RETRY_MS.least; !signal.aborted; pause = Math.min(pause * 2, RETRY_MS.most)) {
      await this.#attempt('stream', signal, async () => {
        for await (const { id, news } of transport.news(lastId, signal)) {
          const receivedAt = clock.monotonic();
          this.#streaming = true;
          await updater.offer(news);
          const { files, at, boot } = news;
          const sent = at === undefined || boot === undefined ? undefined : { at, boot };
          await this.apply(files, receivedAt, sent);
          if (!this.#isToBeSaved) this.#saving = this.#saveSoon(signal);
          if (this.#isWithoutLease()) this.#ask();
          lastId = id;
          pause = RETRY_MS.least;
        }
      });
      if (this.#streaming) this.#brokenAt = clock.boot();
      this.#streaming = false;
      // A service that knows this host no more may be right: what it publishes says so, or not.
      if (this.#isRefused) this.#ask();
      else this.#untilRenewal.end();
      const isRemoved = this.#latest?.entitlement.refusal?.code === 'host-removed';
      this.#untilStream = new Nap();
      await this.#untilStream.sleep(clock, isRemoved ? SLOW_MS : pause, signal);
    }
  }

  /** Whether a namespace came that was never served here. */
  #isWithoutLease(): boolean {
    const { leases } = this.#parts;
    const namespaces = [...(this.#latest?.entitlement.secrets.keys() ?? [])];
    return namespaces.some((namespace) => leases.end(leases.place(namespace)) === 0);
  }

  async #saveSoon(signal: AbortSignal): Promise<void> {
    this.#isToBeSaved = true;
    await this.#parts.clock.sleep(SAVE_AFTER_MS, signal);
    this.#isToBeSaved = false;
    await this.#attempt('saving', signal, () => this.#save());
  }

  /** Not beside an older server that still serves, and saves. */
  async #save(): Promise<void> {
    const { serving, updater } = this.#parts;
    if (serving.begun) await updater.persist();
  }

  /** Each problem and alarm once, as long as it lasts. */
  #tell({ alarms }: RealmState): void {
    const { log } = this.#parts;
    const lines = [
      ...alarms.map((alarm) => ({ alarm, say: () => log.error(`ALARM: ${alarm.message} [${alarm.code}]`) })),
      ...this.problems.map((alarm) => ({ alarm, say: () => log.warn(`${alarm.message} [${alarm.code}]`) })),
    ];
    const told = new Set<string>();
    for (const { alarm, say } of lines) {
      if (!this.#told.has(alarm.message) && !told.has(alarm.message)) say();
      told.add(alarm.message);
    }
    this.#told = told;
  }

  async #attempt(what: Attempt, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#errors.delete(what);
    } catch (error) {
      if (signal.aborted) return;
      if (what === 'stream') this.#isRefused = error instanceof ClientError && error.code === 'token-refused';
      const message = error instanceof Error ? error.message : String(error);
      if (message !== this.#errors.get(what)) this.#parts.log.warn(`${what}: ${message}`);
      this.#errors.set(what, message);
    }
  }
}

/** Everything above the namespaces verifies: what renews the realm's own lease. */
function isWhole({ fleet, failures }: RealmState): boolean {
  return fleet !== undefined && !failures.has(FLEET);
}

/** A pause that can be ended early, also before it begins. */
class Nap {
  #waking = new AbortController();

  async sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    await clock.sleep(ms, AbortSignal.any([signal, this.#waking.signal]));
    this.#waking = new AbortController();
  }

  end(): void {
    this.#waking.abort();
  }
}
