// One order, carried out: a probe, and trial after trial. In each the canary is read in all four ways, the host says so (`armed`),
// the canary goes, the probe is watched a while longer, and the host says what became of it (`observed`). In a partition the
// host is cut off before it says `armed`; in a crash it strikes itself after that, and the next server goes on. Moments are
// stamped where they happen, and nobody who serves waits for anything here.
import type { Clock } from '../../client/clock.ts';
import { CANARY, DRILL, PROBE } from '../../manifest/realm/drill/order.ts';
import type { DrillOrder } from '../../manifest/realm/drill/order.ts';
import type { Observed } from '../../manifest/realm/drill/statement.ts';
import type { FileName, Namespace } from '../../manifest/names.ts';
import { DaemonError } from '../errors.ts';
import type { RegisteredWorkload } from '../identity/workloads.ts';
import type { InEffect } from '../serving.ts';
import type { ServedFile, Table } from '../table.ts';
import type { KeptDrill } from './kept.ts';
import type { WaySeen } from './page.ts';
import type { Prober, RunningProbe } from './prober.ts';
import { drawStrike } from './strike.ts';
import type { Strike } from './strike.ts';
import { Trial } from './trial.ts';
import { wayRecords } from './way-record.ts';

/** By which the probe is registered. */
export const REGISTRATION = 'lapse-drill';
/** Nanoseconds: for how long after its lease the canary may still be read. A host looks at what is mapped every 100 ms. */
const GRACE_NS = 500_000_000n;
/** Milliseconds: when nobody waits any more for its end. */
const LATE_MS = 2000;
/** How much longer than it needs a cut may last at most, and how long the probe may take to count, in milliseconds. */
const SLACK_MS = 1000;
/** How long a server answers at least before it is struck: at most five may die within 10 s (fuse/hold/hold.sh). Milliseconds. */
const REST_MS = 2500;
/** How often what the probe saw is looked at. */
const TRY_MS = 5;

/** The canary's version that bears its name, and since when it is in effect; nanoseconds of CLOCK_MONOTONIC. */
interface Named {
  readonly version: number;
  readonly since: bigint;
}

/** What the daemon lends to a drill. */
export interface Stage {
  readonly workloads: readonly RegisteredWorkload[];
  register(entry: RegisteredWorkload): Promise<void>;
  unregister(id: string): Promise<void>;
  /** Boot time in milliseconds at which the lease of a namespace ends. */
  leaseEnd(namespace: Namespace): number;
  /** Begins at once; resolves when it has ended, and what was missed is in effect. */
  cutOff(namespace: Namespace, ms: number, signal: AbortSignal): Promise<void>;
}

export type Saying =
  | { readonly kind: 'armed'; readonly version: number }
  | Pick<Observed, 'kind' | 'version' | 'moments' | 'serviceBoot' | 'ways'>;

export interface ExerciseParts {
  readonly stage: Stage;
  readonly prober: Prober;
  readonly clock: Clock;
  /** At least 0, and below 1. */
  readonly random: () => number;
  readonly strike: (strike: Strike) => void;
  readonly say: (what: Saying) => void;
  /** @throws DaemonError runtime-unwritable */
  readonly keep: (drill: KeptDrill) => void;
  /** The canary's, in the view of the order's workload. */
  readonly file: FileName;
  /** When this server began to answer, and when the probe is to end; nanoseconds of CLOCK_MONOTONIC. */
  readonly answeringSince: bigint;
  readonly until: bigint;
}

export class Exercise {
  readonly #order: DrillOrder;
  readonly #parts: ExerciseParts;
  #probe: RunningProbe | undefined;
  /** How many were begun. */
  #trials: number;
  #trial: Trial | undefined;
  #named: Named | undefined;
  /** The version of the last trial, which no other one is about. */
  #done: number | undefined;
  /** Aborts when another version bears the name, or none. */
  #naming = new AbortController();
  /** Aborts when the host may be heard of again. */
  #cut: { readonly ending: AbortController; readonly over: Promise<void> } | undefined;
  readonly #ending = new AbortController();
  #failure: Error | undefined;
  /** Then nothing is kept any more. */
  #isOver = false;

  /** `left` is what an earlier server did of the same order. */
  constructor(order: DrillOrder, parts: ExerciseParts, left?: KeptDrill) {
    this.#order = order;
    this.#parts = parts;
    this.#trials = left?.trials ?? 0;
    // What a partition had cut off is heard of by now.
    if (left?.trial && order.kind !== 'partition') this.#trial = new Trial(left.trial);
  }

  /** A table is in effect; `signed` resolves to when its receipt was. Does not throw. */
  note(effect: InEffect, signed: Promise<bigint> | undefined): void {
    try {
      const files = this.#canaries(effect.table);
      const version = files.find(({ named }) => named)?.version;
      if (version !== this.#named?.version) {
        this.#named = version === undefined ? undefined : { version, since: effect.moments.effectAt };
        this.#naming.abort();
        this.#naming = new AbortController();
      }
      const trial = this.#trial;
      if (!trial || trial.isGone || files.some((file) => file.version === trial.version)) return;
      trial.went(effect, signed);
      if (this.#order.kind !== 'partition') this.#probe?.effect(effect.moments.effectAt);
      void this.#parts.clock.sleep(0).then(() => this.#keepAfterwards());
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Whether it has struck this host, and what became of that is not known yet. */
  get isStruck(): boolean {
    return this.#trial?.moments.struck !== undefined;
  }

  /** Until all trials are made, or the signal aborts. @throws DaemonError probe-failed and others */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#run(AbortSignal.any([signal, this.#ending.signal]));
    } finally {
      this.#isOver = true;
      this.#cut?.ending.abort();
    }
    if (this.#failure) throw this.#failure;
  }

  /** Ends the probe. @throws DaemonError probe-failed when it does not end */
  async close(): Promise<void> {
    await this.#probe?.stop();
    await this.#unregister();
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    this.#ending.abort();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<undefined>((resolve) => {
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
    await this.#takeProbe();
    while (!signal.aborted) {
      const trial = this.#trial ?? (await this.#arm(signal, aborted));
      if (!trial) return;
      // Again after a crash: nobody knows whether it was heard.
      this.#parts.say({ kind: 'armed', version: trial.version });
      if (!(await this.#watch(trial, signal, aborted))) return;
      this.#done = trial.version;
      this.#trial = undefined;
      this.#keep();
    }
  }

  /** That of an earlier server, if it is still of use; a trial ends with its probe. */
  async #takeProbe(): Promise<void> {
    const { stage, prober, answeringSince } = this.#parts;
    const left = await prober.adopt();
    const isRegistered = stage.workloads.some(({ id }) => id === REGISTRATION);
    if (left && isRegistered === (this.#order.workload === PROBE)) {
      this.#probe = left;
      const trial = this.#trial;
      if (trial?.moments.struck !== undefined && trial.moments.answered === undefined)
        trial.stamp('answered', answeringSince);
      if (trial?.isGone === true) left.effect(BigInt((trial.moments.invalidated ?? 0) + 1) * 1000n);
      return;
    }
    await left?.stop();
    await this.#unregister();
    this.#trial = undefined;
    await this.#start();
  }

  async #start(): Promise<void> {
    const { stage, prober, file, until } = this.#parts;
    const { workload } = this.#order;
    const { probe, group, init } = await prober.start({ workload, file, untilNs: until });
    this.#probe = probe;
    if (group !== undefined)
      await stage.register({ id: REGISTRATION, workload, cgroup: group, ...(init && { init }) });
  }

  async #unregister(): Promise<void> {
    const { stage } = this.#parts;
    if (stage.workloads.some(({ id }) => id === REGISTRATION)) await stage.unregister(REGISTRATION);
  }

  /** The next trial, once every way has read its version; undefined when there is none any more. */
  async #arm(signal: AbortSignal, aborted: Promise<undefined>): Promise<Trial | undefined> {
    const probe = this.#running();
    await this.#rest(signal);
    while (!signal.aborted && this.#trials < this.#order.trials) {
      const naming = this.#naming.signal;
      const named = this.#named;
      if (!named || named.version === this.#done) {
        await Promise.race([untilAborted(naming), aborted]);
        continue;
      }
      const meanwhile = AbortSignal.any([signal, naming]);
      const hash = await this.#untilRead(probe, named, meanwhile);
      if (hash === undefined) continue;
      this.#trials += 1;
      const isArmed = await probe.arm(this.#trials, hash, meanwhile);
      if (!isArmed || meanwhile.aborted) continue;
      const trial = new Trial({ number: this.#trials, version: named.version, hash, moments: {} });
      this.#trial = trial;
      if (this.#order.kind === 'partition') this.#cutOff(trial, signal);
      this.#keep();
      return trial;
    }
    return undefined;
  }

  /** In a crash drill: a holder gives up a server that dies too often. */
  async #rest(signal: AbortSignal): Promise<void> {
    const { clock, answeringSince } = this.#parts;
    const agoMs = Number(clock.monotonic() - answeringSince) / 1e6;
    if (this.#order.crash && agoMs < REST_MS) await clock.sleep(REST_MS - agoMs, signal);
  }

  /**
   * The hash of the value that every way has read since the version was in effect; undefined when the signal came first. What
   * was read before may have been another one's.
   */
  async #untilRead(probe: RunningProbe, { since }: Named, signal: AbortSignal): Promise<bigint | undefined> {
    for (;;) {
      const hash = await probe.untilShown(0n, signal);
      if (hash === undefined) return undefined;
      const isRead = ({ current }: WaySeen): boolean =>
        current?.hash === hash && current.lastRead.start >= since;
      if (Object.values(probe.snapshot()).every(isRead)) return hash;
      await this.#parts.clock.sleep(TRY_MS, signal);
    }
  }

  /** Until it was said what became of it; false when the signal came first. */
  async #watch(trial: Trial, signal: AbortSignal, aborted: Promise<undefined>): Promise<boolean> {
    const { clock, say } = this.#parts;
    const probe = this.#running();
    const struck = this.#strike(trial, signal, aborted);
    struck.catch((error: unknown) => this.#fail(error));
    if (this.#order.kind === 'partition') await this.#untilFailedClosed(trial, signal);
    else await Promise.race([trial.gone, aborted]);
    await clock.sleep(this.#order.settleMs, signal);
    await Promise.race([struck, aborted]);
    await Promise.race([trial.untilSigned(), clock.sleep(SLACK_MS, signal)]);
    const inTime = AbortSignal.any([signal, clock.deadline(SLACK_MS)]);
    const isCounted = await probe.untilCounted(inTime);
    await this.#untilTried(probe, inTime);
    if (signal.aborted) return false;
    if (!isCounted) throw new DaemonError('probe-failed', 'the probe does not count any more');
    const { version, hash, moments, kept } = trial;
    const { serviceBoot } = kept;
    say({
      kind: 'observed',
      version,
      moments,
      ...(serviceBoot !== undefined && { serviceBoot }),
      ways: wayRecords(probe.snapshot(), hash),
    });
    this.#cut?.ending.abort();
    await this.#cut?.over;
    this.#cut = undefined;
    return !signal.aborted;
  }

  /** Every way has tried since the effect, which a busy machine may have kept it from: or nothing late could have been noticed. */
  async #untilTried(probe: RunningProbe, signal: AbortSignal): Promise<void> {
    const isTried = (): boolean =>
      Object.values(probe.snapshot()).every(({ attemptsAfter }) => attemptsAfter > 0);
    while (!signal.aborted && !isTried()) await this.#parts.clock.sleep(TRY_MS, signal);
  }

  /** Before anybody hears that the host is ready: so the revocation surely comes while it is cut off. */
  #cutOff(trial: Trial, signal: AbortSignal): void {
    const { stage, clock } = this.#parts;
    const ending = new AbortController();
    const at = clock.monotonic();
    const leftMs = Math.max(0, stage.leaseEnd(DRILL) - clock.boot());
    const leaseEnd = at + BigInt(Math.round(leftMs * 1e6));
    const most = Math.ceil(leftMs) + LATE_MS + this.#order.settleMs + 3 * SLACK_MS;
    const over = stage.cutOff(DRILL, most, AbortSignal.any([signal, ending.signal]));
    over.catch((error: unknown) => this.#fail(error));
    this.#cut = { ending, over };
    trial.stamp('cut', at);
    trial.stamp('leaseEnd', leaseEnd);
    this.#running().effect(leaseEnd + GRACE_NS);
  }

  async #untilFailedClosed(trial: Trial, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const leaseEnd = BigInt(trial.moments.leaseEnd ?? 0) * 1000n;
    const leftMs = Math.max(0, Number(leaseEnd - clock.monotonic()) / 1e6);
    const inTime = AbortSignal.any([signal, clock.deadline(Math.ceil(leftMs) + LATE_MS)]);
    await this.#running().untilRefused(leaseEnd, inTime);
    const graceMs = Number(leaseEnd + GRACE_NS - clock.monotonic()) / 1e6;
    if (graceMs > 0) await clock.sleep(graceMs, signal);
  }

  /** In a crash drill, once a trial: what is known is kept before. */
  async #strike(trial: Trial, signal: AbortSignal, aborted: Promise<undefined>): Promise<void> {
    const { clock, random, strike } = this.#parts;
    const { crash } = this.#order;
    const drawn = crash && trial.moments.struck === undefined ? drawStrike(crash, random) : undefined;
    if (!drawn) return;
    await clock.sleep(drawn.afterMs, signal);
    if (signal.aborted) return;
    trial.stamp('struck', clock.monotonic());
    this.#keep();
    strike(drawn);
    // One that was only stopped goes on here when somebody continues it.
    if (drawn.victim === 'server') trial.stamp('answered', clock.monotonic());
    // Without its holder or its serving thread this server is about to end.
    else await aborted;
  }

  #running(): RunningProbe {
    if (this.#probe) return this.#probe;
    throw new DaemonError('probe-failed', 'no probe was started');
  }

  #canaries(table: Table): readonly ServedFile[] {
    return table.files.filter(
      ({ view, path }) => view === this.#order.workload && path.startsWith(`${DRILL}/${CANARY}@`),
    );
  }

  #keepAfterwards(): void {
    try {
      if (!this.#isOver) this.#keep();
    } catch (error) {
      this.#fail(error);
    }
  }

  #keep(): void {
    this.#parts.keep({
      order: this.#order.id,
      trials: this.#trials,
      ...(this.#trial && { trial: this.#trial.kept }),
    });
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
