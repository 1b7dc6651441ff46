// Follows the orders of drills: decides whether this host takes part, begins one exercise at a time, and ends it with its order,
// at its time, or with this server. It runs beside what is served: whatever goes wrong in here becomes a statement or a line
// of the log, and nobody waits for it. An order counts only while the namespace `drill` verifies and is served here.
import { isLapseError } from '../../manifest/errors.ts';
import { parseFileName } from '../../manifest/names.ts';
import type { FileName } from '../../manifest/names.ts';
import { CANARY, DRILL, DRILL_LIMITS, readOrder } from '../../manifest/realm/drill/order.ts';
import type { DrillOrder } from '../../manifest/realm/drill/order.ts';
import type { DrillStatement } from '../../manifest/realm/drill/statement.ts';
import { currentRole } from '../../manifest/tuf/trusted-set.ts';
import type { DrillConfig } from '../config.ts';
import type { DaemonCode } from '../errors.ts';
import type { HostSigner } from '../host/identity.ts';
import type { Log } from '../log.ts';
import { bootId } from '../runtime/state-file.ts';
import type { Arrival, InEffect } from '../serving.ts';
import type { DailyCap } from './daily-cap.ts';
import { Exercise, REGISTRATION } from './exercise.ts';
import type { ExerciseParts, Saying } from './exercise.ts';
import type { KeptDrill, KeptDrills } from './kept.ts';
import { drawStrike } from './strike.ts';

/** How long an end of this server waits for that of the probe, in milliseconds. */
const END_MS = 700;

export interface WardenParts extends Pick<ExerciseParts, 'stage' | 'prober' | 'clock' | 'random' | 'strike'> {
  readonly host: HostSigner;
  readonly config: DrillConfig;
  readonly log: Log;
  readonly cap: DailyCap;
  readonly kept: KeptDrills;
  readonly say: (statement: DrillStatement) => void;
}

export interface DrillStatus {
  readonly state: 'off' | 'idle' | 'running';
  /** The order's id. */
  readonly id?: string;
  readonly trialsToday: number;
}

/** Why this host takes no part, or no more. */
type Refusal = Extract<DaemonCode, 'drill-off' | 'drill-cap' | 'drill-busy' | 'probe-failed'>;

interface Running {
  readonly id: string;
  readonly exercise: Exercise;
}

interface Note {
  readonly effect: InEffect;
  readonly signed: Promise<bigint> | undefined;
}

export class Warden {
  readonly #parts: WardenParts;
  readonly #boot = bootId();
  /** Since when this server answers; nothing is begun before. Nanoseconds of CLOCK_MONOTONIC. */
  #answeringSince: bigint | undefined;
  #latest: Note | undefined;
  /** What an earlier server has left. */
  #left: KeptDrill | undefined;
  /** The hash of the role whose order was read last. */
  #read = 'nothing yet';
  #order: DrillOrder | undefined;
  /** Whether an order, or that there is none, was acted upon. */
  #hasBegun = false;
  /** Aborts when that one does not stand any more. */
  #ending = new AbortController();
  #running: Running | undefined;
  /** One after another: so there are never two probes. */
  #turn: Promise<void> = Promise.resolve();
  #isOver = false;
  #isLeaving = false;

  constructor(parts: WardenParts) {
    this.#parts = parts;
  }

  get status(): DrillStatus {
    const { config, cap } = this.#parts;
    const id = this.#running?.id;
    const idle = config.consent === 'off' ? 'off' : 'idle';
    return {
      state: id === undefined ? idle : 'running',
      ...(id !== undefined && { id }),
      trialsToday: cap.today,
    };
  }

  /** This server answers now, and nobody else writes what is kept. */
  begin(): void {
    this.#answeringSince = this.#parts.clock.monotonic();
    this.#attempt(() => (this.#left = this.#parts.kept.read()));
    if (this.#latest) this.note(this.#latest.effect, this.#latest.signed);
  }

  /** Something is in effect; `signed` resolves to when its receipt was, if there is one. Does not throw. */
  note(effect: InEffect, signed: Promise<bigint> | undefined): void {
    if (this.#isOver) return;
    this.#latest = { effect, signed };
    if (this.#answeringSince === undefined) return;
    this.#running?.exercise.note(effect, signed);
    this.#attempt(() => this.#follow(effect.arrival));
  }

  /** The next server goes on with what is there. */
  leave(): void {
    this.#isOver = true;
    this.#isLeaving = true;
    this.#ending.abort();
  }

  /** Ends the probe, in the time that an end of this server has; unless that end is the drill's own doing. */
  async end(): Promise<void> {
    if (this.#running?.exercise.isStruck === true) {
      this.leave();
      return;
    }
    this.#isOver = true;
    this.#ending.abort();
    const inTime = new AbortController();
    await Promise.race([this.#turn, this.#parts.clock.sleep(END_MS, inTime.signal)]);
    inTime.abort();
  }

  #follow({ state, entitlement }: Arrival): void {
    // Who is cut off, or hears what does not verify, has heard nothing: what stood, stands.
    if (entitlement.failing.has(DRILL)) return;
    const role = entitlement.secrets.has(DRILL) ? currentRole(state.set, DRILL) : undefined;
    const read = role?.sha256 ?? 'none';
    if (read === this.#read) return;
    this.#read = read;
    const order = role && this.#standing(role);
    if (order?.id === this.#order?.id && this.#hasBegun) return;
    this.#hasBegun = true;
    this.#order = order;
    this.#ending.abort();
    const ending = new AbortController();
    this.#ending = ending;
    const secret = entitlement.secrets.get(DRILL)?.get(CANARY);
    const grant = secret?.grants.find(({ workload }) => workload === order?.workload);
    const file = grant?.file ?? parseFileName(CANARY);
    this.#turn = this.#turn
      .then(() => this.#carryOut(order, file, ending.signal))
      .catch((error: unknown) => this.#tell(error));
  }

  /** The order, if it names this host and has not expired. */
  #standing(role: Parameters<typeof readOrder>[0]): DrillOrder | undefined {
    const { host, clock, log } = this.#parts;
    try {
      const order = readOrder(role);
      return order?.hosts.includes(host.name) === true && order.until > clock.now() ? order : undefined;
    } catch (error) {
      if (!isLapseError(error)) throw error;
      log.warn(`a drill's order was refused: ${error.message} [${error.code}]`);
      return undefined;
    }
  }

  async #carryOut(order: DrillOrder | undefined, file: FileName, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const kept = this.#left;
    this.#left = undefined;
    const left = kept?.order === order?.id ? kept : undefined;
    const refusal = order && (await this.#refusal(order));
    const isResumed = left !== undefined && refusal === undefined;
    const isClear = isResumed || (await this.#sweep(kept !== undefined));
    if (!order) return;
    const code = refusal ?? (isClear ? undefined : 'drill-busy');
    if (code === undefined) await this.#exercise(order, file, left, signal);
    else this.#refuse(order, code);
  }

  async #refusal(order: DrillOrder): Promise<Refusal | undefined> {
    const { config, cap } = this.#parts;
    const { id, crash, trials } = order;
    if (config.consent === 'off') return 'drill-off';
    const isStrikable = crash === undefined || drawStrike(crash, () => 0) !== undefined;
    if (crash !== undefined && (config.consent !== 'crash' || !isStrikable)) return 'drill-off';
    return (await cap.take(id, trials)) ? undefined : 'drill-cap';
  }

  async #exercise(
    order: DrillOrder,
    file: FileName,
    left: KeptDrill | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (signal.aborted) return;
    const { stage, prober, clock, random, strike, kept, log } = this.#parts;
    const ms = Math.min(order.until - clock.now(), DRILL_LIMITS.seconds * 1000);
    const answeringSince = this.#answeringSince ?? clock.monotonic();
    const until = clock.monotonic() + BigInt(Math.ceil(ms)) * 1_000_000n;
    const exercise = new Exercise(
      order,
      {
        ...{ stage, prober, clock, random, strike, file, answeringSince, until },
        say: (what) => this.#say(order, what),
        keep: (drill) => kept.write(drill),
      },
      left,
    );
    this.#running = { id: order.id, exercise };
    if (this.#latest) exercise.note(this.#latest.effect, this.#latest.signed);
    log.info(`a drill ${left ? 'goes on' : 'begins'}: ${order.kind} ${order.id}`);
    try {
      await exercise.run(AbortSignal.any([signal, clock.deadline(Math.max(0, Math.ceil(ms)))]));
    } catch (error) {
      this.#tell(error);
      this.#refuse(order, 'probe-failed');
    }
    if (this.#isLeaving) return;
    await exercise.close().catch((error: unknown) => this.#tell(error));
    this.#attempt(() => kept.write(undefined));
    this.#running = undefined;
    log.info(`a drill ended: ${order.id}`);
  }

  /** Whether no probe is there, whoever left one; `isKept` is whether anything of it is. */
  async #sweep(isKept: boolean): Promise<boolean> {
    const { prober, stage, kept } = this.#parts;
    try {
      await (await prober.adopt())?.stop();
      if (stage.workloads.some(({ id }) => id === REGISTRATION)) await stage.unregister(REGISTRATION);
      if (isKept) kept.write(undefined);
      return true;
    } catch (error) {
      this.#tell(error);
      return false;
    }
  }

  #refuse(order: DrillOrder, code: Refusal): void {
    this.#parts.log.info(`this host takes no part in the drill ${order.id} [${code}]`);
    this.#say(order, { kind: 'refused', code });
  }

  #say({ id: drill }: DrillOrder, what: Saying | { readonly kind: 'refused'; readonly code: Refusal }): void {
    const { realm, name: host } = this.#parts.host;
    this.#parts.say({ realm, host, boot: this.#boot, drill, ...what });
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#tell(error);
    }
  }

  #tell(error: unknown): void {
    this.#parts.log.error(`a drill: ${error instanceof Error ? error.message : String(error)}`);
  }
}
