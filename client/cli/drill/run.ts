// One drill: trial after trial, on one group of hosts after the other, and an end in order whatever happens. In a trial the
// canary is published, every host says that its probe reads it in all four ways, and then it goes: that is clock zero. Whoever
// does not answer in time is silent, and left out of what follows. Ctrl-C ends the drill like its last trial does; a second
// one leaves the order to its own end.
import { randomFillSync, randomInt } from 'node:crypto';
import { availableParallelism, release } from 'node:os';
import type { HostName } from '../../../manifest/names.ts';
import { DRILL } from '../../../manifest/realm/drill/order.ts';
import type { DrillOrder } from '../../../manifest/realm/drill/order.ts';
import type { DrillRecord, HostTrial, Participant, Trial } from '../../../manifest/realm/drill/report.ts';
import { bootId, microseconds } from '../../clock.ts';
import { hostTrial } from '../../drill/host-trial.ts';
import type { TrialClocks } from '../../drill/placing.ts';
import { ClientError } from '../../errors.ts';
import type { RealmState } from '../../reading.ts';
import type { ReceiptWatch } from '../receipt-watch.ts';
import type { Edit, Session } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';
import { version as lapseVersion } from '../version.ts';
import { Answers } from './answers.ts';
import { canaryEdit, drillRunning, endEdit, revokeEdit, standingOrder, withdrawEdit } from './edits.ts';
import { groupsOf, newOrder, stepMs } from './plan.ts';
import type { DrillPlan } from './plan.ts';
import type { Progress } from './progress.ts';

const CANARY_BYTES = 32;
/** How long hosts may take to confirm the drill's end, at most; milliseconds. */
const END_MS = 10_000;

export interface DrillParts {
  readonly session: Session;
  readonly plan: DrillPlan;
  readonly hosts: readonly HostName[];
  readonly leaseSeconds: number;
  readonly receipts: ReceiptWatch;
  readonly progress: Progress;
  /** `end` asks for the end, `now` for one that waits for nobody. */
  readonly interrupt: Readonly<Record<'end' | 'now', AbortSignal>>;
}

/** What took the canary away, and what there is to read after it. */
interface Effect {
  readonly clocks: TrialClocks;
  /** Of the canary that came in its place, if one did. */
  readonly next?: number;
}

export class DrillRun {
  readonly #parts: DrillParts;
  readonly #answers: Answers;
  readonly #participants = new Map<HostName, Participant>();
  /** Of the group whose turn it is, those that answer. */
  readonly #present = new Set<HostName>();
  /** By number. */
  readonly #trials = new Map<number, Trial>();
  /** Of this drill, one for each group whose turn came. */
  readonly #orders: DrillOrder[] = [];
  /** Whether the service has the first of them. */
  #isPublished = false;

  constructor(parts: DrillParts) {
    this.#parts = parts;
    this.#answers = new Answers(parts.receipts);
  }

  /**
   * What was measured; `aborted` after a Ctrl-C.
   * @throws ClientError drill-running, drill-ended, and why a publish failed; the order is ended before
   */
  async run(): Promise<DrillRecord> {
    const { session, plan, hosts, leaseSeconds, interrupt } = this.#parts;
    const { clock } = session;
    const startedAt = clock.now();
    try {
      for (const group of groupsOf(hosts, plan.share)) {
        if (!this.#isEnding()) await this.#practise(group);
      }
    } catch (error) {
      await this.#end().catch(() => undefined);
      throw error;
    }
    // Asked before the end, which a Ctrl-C may hurry.
    const aborted = this.#isEnding();
    await this.#end().catch((error: unknown) => {
      if (!interrupt.now.aborted) throw error;
    });
    return {
      realm: session.updater.realm,
      drill: this.#orders[0]?.id ?? '',
      kind: plan.kind,
      startedAt,
      endedAt: clock.now(),
      warmUp: plan.warmUp,
      leaseSeconds,
      environment: environment(),
      participants: [...this.#participants.values()],
      trials: [...this.#trials.values()],
      aborted,
    };
  }

  /** All trials with one group. */
  async #practise(group: readonly HostName[]): Promise<void> {
    const { session, plan, leaseSeconds, interrupt } = this.#parts;
    const { clock } = session;
    const order = newOrder(plan, group, leaseSeconds, clock.now());
    this.#present.clear();
    for (const host of group) this.#present.add(host);
    this.#answers.begin(order.id);
    let shown: { readonly version: number; readonly begun: number } | undefined;
    for (let number = 1 - plan.warmUp; number <= plan.trials; number++) {
      const pause = clock.sleep(plan.paceMs, interrupt.end);
      this.#tell(number);
      const { version, begun } = shown ?? (await this.#show(order));
      await this.#untilArmed(version);
      if (plan.crash) await clock.sleep(randomInt(plan.crash.withinMs + 1), interrupt.end);
      if (this.#present.size === 0 || this.#isEnding()) return;
      const asked = [...this.#present];
      const { clocks, next } = await this.#takeAway(order, begun);
      const hosts = await this.#untilObserved(version, clocks);
      if (this.#isEnding()) return;
      if (number > 0) this.#keep(number, version, asked, hosts);
      shown = next === undefined ? undefined : { version: next, begun: clocks.zero };
      if (plan.paceMs > 0) await pause;
    }
  }

  /** Publishes the next canary, and the order with it. */
  async #show(order: DrillOrder): Promise<{ readonly version: number; readonly begun: number }> {
    const { session } = this.#parts;
    const begun = microseconds(session.clock.monotonic());
    await session.updater.refresh();
    return withCanary(async (value) => {
      let version = 0;
      const watch = new Stopwatch(session.clock);
      await session.publish(watch, async (state) => {
        this.#checkOrder(state);
        const made = await canaryEdit(session, state, watch, order, value);
        version = made.version;
        if (this.#orders.at(-1) !== order) this.#orders.push(order);
        return made.edit;
      });
      this.#isPublished = true;
      return { version, begun };
    });
  }

  /** Clock zero, and the change that the drill is about. */
  async #takeAway(order: DrillOrder, begun: number): Promise<Effect> {
    const { session } = this.#parts;
    const { clock } = session;
    await session.updater.refresh();
    return withCanary(async (value) => {
      let next: number | undefined;
      const watch = new Stopwatch(clock);
      const { commit, roles } = await session.publish(watch, async (state) => {
        this.#checkOrder(state);
        const now = clock.now();
        if (order.kind === 'workload') return withdrawEdit(state, order.workload, now);
        if (order.kind !== 'rotate') return revokeEdit(state, now);
        const { edit, version } = await canaryEdit(session, state, watch, order, value);
        next = version;
        return edit;
      });
      const file = roles.get(DRILL);
      if (file) this.#answers.await(file);
      const clocks = {
        boot: bootId(),
        begun,
        zero: microseconds(watch.zero),
        signed: microseconds(watch.ended('sign')),
        answered: microseconds(watch.ended('publish')),
        committed: commit,
      };
      return { clocks, ...(next !== undefined && { next }) };
    });
  }

  /** Whoever is not ready in time is left out. */
  async #untilArmed(version: number): Promise<void> {
    const isReady = (host: HostName): boolean => this.#answers.isArmed(host, version);
    await this.#listen(isReady);
    if (this.#isEnding()) return;
    for (const host of this.#present) {
      if (isReady(host)) this.#participants.set(host, { host, state: 'took-part' });
      else this.#leaveOut(host);
    }
  }

  /** Every host that said what it saw; whoever did not, or whose receipt is missing, is left out from now on. */
  async #untilObserved(version: number, clocks: TrialClocks): Promise<readonly HostTrial[]> {
    const isComplete = (host: HostName): boolean =>
      this.#answers.observation(host, version) !== undefined && this.#answers.receipt(host) !== undefined;
    await this.#listen(isComplete);
    if (this.#isEnding()) return [];
    return [...this.#present].flatMap((host) => {
      if (!isComplete(host)) this.#leaveOut(host);
      const observation = this.#answers.observation(host, version);
      const receipt = this.#answers.receipt(host);
      if (!observation) return [];
      const verified = receipt && {
        storedAt: receipt.storedAt,
        verifiedAt: microseconds(receipt.verifiedAt),
      };
      return [hostTrial(clocks, { ...observation, ...(verified && { receipt: verified }) })];
    });
  }

  /** Until that is so for everybody who is present, and has not refused. */
  async #listen(isSo: (host: HostName) => boolean): Promise<void> {
    const { plan, leaseSeconds, interrupt } = this.#parts;
    await this.#within(stepMs(plan, leaseSeconds), interrupt.end, (signal) =>
      this.#answers.until(
        () => [...this.#present].every((host) => isSo(host) || this.#answers.refused.has(host)),
        signal,
      ),
    );
  }

  async #within(
    ms: number,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const done = new AbortController();
    const end = AbortSignal.any([signal, done.signal]);
    void this.#parts.session.clock.sleep(ms, end).then(() => done.abort());
    await work(end);
    done.abort();
  }

  #leaveOut(host: HostName): void {
    const code = this.#answers.refused.get(host);
    this.#present.delete(host);
    this.#participants.set(
      host,
      code === undefined ? { host, state: 'silent' } : { host, state: 'refused', code },
    );
  }

  /** A trial has every group in it, each with a canary of its own. */
  #keep(number: number, version: number, asked: readonly HostName[], hosts: readonly HostTrial[]): void {
    const others = this.#trials.get(number);
    const missing = asked.filter((name) => !hosts.some(({ host }) => host === name));
    this.#trials.set(number, {
      number,
      version,
      at: others?.at ?? this.#parts.session.clock.now(),
      hosts: [...(others?.hosts ?? []), ...hosts],
      missing: [...(others?.missing ?? []), ...missing],
    });
    this.#tell(number, hosts);
  }

  #tell(number: number, hosts: readonly HostTrial[] = []): void {
    const { plan, progress } = this.#parts;
    const what =
      number > 0
        ? `trial ${number} of ${plan.trials}`
        : `warming up, ${number + plan.warmUp} of ${plan.warmUp}`;
    progress.tell(what, hosts);
  }

  /** One drill at a time, and only as long as its order stands. @throws ClientError drill-running, drill-ended */
  #checkOrder(state: RealmState): void {
    const standing = standingOrder(state, this.#parts.session.clock.now());
    if (this.#isOurs(standing)) return;
    if (this.#isPublished) {
      throw new ClientError(
        'drill-ended',
        'the order does not stand any more: somebody or its time ended it',
      );
    }
    if (standing) throw drillRunning(standing);
  }

  #isEnding(): boolean {
    return this.#parts.interrupt.end.aborted;
  }

  #isOurs(order: DrillOrder | undefined): boolean {
    return order !== undefined && this.#orders.some(({ id }) => id === order.id);
  }

  /** Takes the order and the canary back, unless another order stands there now; and waits for whoever is present. */
  async #end(): Promise<void> {
    const { session, plan, leaseSeconds, interrupt, progress } = this.#parts;
    if (this.#orders.length === 0) return;
    progress.tell('ending');
    await session.refresh();
    if (!this.#isOurs(standingOrder(session.state, 0))) return;
    const { roles } = await session.publish(new Stopwatch(session.clock), (state): Edit => {
      if (this.#isOurs(standingOrder(state, 0))) return endEdit(state, session.clock.now());
      throw new ClientError('drill-ended', 'somebody else ended the drill');
    });
    const file = roles.get(DRILL);
    if (file) this.#answers.await(file);
    const isTold = (): boolean =>
      [...this.#present].every((host) => this.#answers.receipt(host) !== undefined);
    const ms = Math.min(stepMs(plan, leaseSeconds), END_MS);
    await this.#within(ms, interrupt.now, (signal) => this.#answers.until(isTold, signal));
    await session.refresh();
  }
}

/** A fresh random value, which is gone afterwards. */
async function withCanary<T>(work: (value: Uint8Array) => Promise<T>): Promise<T> {
  const value = randomFillSync(Buffer.alloc(CANARY_BYTES));
  try {
    return await work(value);
  } finally {
    value.fill(0);
  }
}

function environment(): Readonly<Record<string, string>> {
  return {
    lapse: lapseVersion,
    node: process.version,
    kernel: release(),
    cpus: String(availableParallelism()),
  };
}
