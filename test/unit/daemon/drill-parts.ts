// A drill without a kernel: a probe that says what the test wants, a stage that notes what is done on it, and tables of which
// the canary is there or gone.
import type { RealmState } from '../../../client/reading.ts';
import type { Stage } from '../../../daemon/drill/exercise.ts';
import type { KeptDrill, KeptDrills } from '../../../daemon/drill/kept.ts';
import type { Prober, ProbeWish, RunningProbe } from '../../../daemon/drill/prober.ts';
import type { WaySeen } from '../../../daemon/drill/page.ts';
import type { RegisteredWorkload } from '../../../daemon/identity/workloads.ts';
import type { InEffect } from '../../../daemon/serving.ts';
import { EMPTY_TABLE } from '../../../daemon/table.ts';
import type { ServedFile } from '../../../daemon/table.ts';
import { DaemonError } from '../../../daemon/errors.ts';
import { parseNamespace } from '../../../manifest/names.ts';
import type { Namespace } from '../../../manifest/names.ts';
import { orderJson } from '../../../manifest/realm/drill/order.ts';
import type { DrillOrder } from '../../../manifest/realm/drill/order.ts';
import { sha256 } from '../../../manifest/tuf/metadata.ts';
import type { ManualClock } from '../client/manual-clock.ts';

const DRILL = parseNamespace('drill');

export class FakeProbe implements RunningProbe {
  isRunning = true;
  /** Whether every way has read what is shown. */
  isReading = true;
  isStopped = false;
  /** When every way began its last read. */
  lastRead = 2n ** 62n;
  readonly armed: number[] = [];
  readonly effects: bigint[] = [];
  onStop: () => void = () => undefined;

  snapshot(): ReturnType<RunningProbe['snapshot']> {
    const span = { start: 1000n, end: 2000n };
    const lastRead = { start: this.lastRead, end: this.lastRead };
    const current = { hash: 7n, attempts: 12, reads: 10, firstRead: span, lastRead, refused: span };
    const way: WaySeen = {
      ...{ trial: 1, effect: this.effects.at(-1) ?? 0n, late: 0, attemptsAfter: 2 },
      ...{ isRefused: true, lastRefused: 3000n, errno: 2, current },
    };
    return { reopen: way, held: way, mapped: way, watched: way };
  }

  untilShown(_since: bigint, signal: AbortSignal): Promise<bigint | undefined> {
    return this.#until(signal, () => (this.isReading ? 7n : undefined));
  }

  arm(trial: number): Promise<boolean> {
    this.armed.push(trial);
    return Promise.resolve(true);
  }

  effect(at: bigint): void {
    this.effects.push(at);
  }

  async untilRefused(_since: bigint, signal: AbortSignal): Promise<boolean> {
    return (await this.#until(signal, () => (this.isReading ? undefined : true))) ?? false;
  }

  async untilCounted(signal: AbortSignal): Promise<boolean> {
    return (await this.#until(signal, () => true)) ?? false;
  }

  stop(): Promise<void> {
    this.onStop();
    this.isStopped = true;
    this.isRunning = false;
    return Promise.resolve();
  }

  /** Looks at once, and then whenever something else has happened. */
  async #until<T>(signal: AbortSignal, look: () => T | undefined): Promise<T | undefined> {
    while (!signal.aborted) {
      if (!this.isRunning) throw new DaemonError('probe-failed', 'the probe has ended');
      const found = look();
      if (found !== undefined) return found;
      await new Promise(setImmediate);
    }
    return undefined;
  }
}

export class FakeProber implements Prober {
  readonly started: FakeProbe[] = [];
  readonly wishes: ProbeWish[] = [];
  /** What an earlier server has left. */
  left: FakeProbe | undefined;
  next = (): FakeProbe => new FakeProbe();

  start(wish: ProbeWish): ReturnType<Prober['start']> {
    const alive = this.started.filter(({ isStopped }) => !isStopped);
    if (alive.length > 0 || this.left) throw new Error('two probes');
    const probe = this.next();
    this.wishes.push(wish);
    this.started.push(probe);
    return Promise.resolve({ probe, group: `:/probe-${this.started.length}` });
  }

  adopt(): Promise<RunningProbe | undefined> {
    const { left } = this;
    this.left = undefined;
    if (left) this.started.push(left);
    return Promise.resolve(left);
  }
}

export class FakeStage implements Stage {
  workloads: RegisteredWorkload[] = [];
  readonly cuts: { readonly namespace: Namespace; readonly ms: number; isOver: boolean }[] = [];
  readonly #clock: ManualClock;
  readonly #leaseMs: number;

  constructor(clock: ManualClock, leaseMs = 3000) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  register(entry: RegisteredWorkload): Promise<void> {
    this.workloads.push(entry);
    return Promise.resolve();
  }

  unregister(id: string): Promise<void> {
    this.workloads = this.workloads.filter((entry) => entry.id !== id);
    return Promise.resolve();
  }

  leaseEnd(): number {
    return this.#clock.boot() + this.#leaseMs;
  }

  async cutOff(namespace: Namespace, ms: number, signal: AbortSignal): Promise<void> {
    const cut = { namespace, ms, isOver: false };
    this.cuts.push(cut);
    await this.#clock.sleep(ms, signal);
    cut.isOver = true;
  }
}

export class FakeKept implements Pick<KeptDrills, 'read' | 'write'> {
  drill: KeptDrill | undefined;

  read(): KeptDrill | undefined {
    return this.drill;
  }

  write(drill: KeptDrill | undefined): void {
    this.drill = drill;
  }
}

export interface Scene {
  readonly order?: DrillOrder | undefined;
  /** The signed member, when it is none. */
  readonly raw?: unknown;
  /** The versions of the canary that are shown; the first bears the name. */
  readonly canaries?: readonly number[];
  readonly isServed?: boolean;
  readonly isFailing?: boolean;
}

/** Of a realm with the role `drill`; that moment is a millisecond after its news came. */
export function inEffect(clock: ManualClock, scene: Scene): InEffect {
  const { order, raw, canaries = [], isServed = true, isFailing = false } = scene;
  const member = order ? orderJson(order) : (raw ?? null);
  const file = {
    role: { version: 1 },
    raw: { drill: member },
    bytes: new Uint8Array(),
    sha256: sha256(Buffer.from(JSON.stringify(member))),
  };
  const now = clock.monotonic();
  return {
    arrival: {
      state: {
        set: {
          timestamp: { role: { snapshot: { version: 1 } } },
          snapshot: {
            bytes: new Uint8Array(),
            role: { version: 1, roles: new Map([['drill', { version: 1 }]]) },
          },
          targets: new Map([['drill', file]]),
        },
      } as unknown as RealmState,
      entitlement: {
        secrets: new Map(isServed && !isFailing ? [[DRILL, new Map()]] : []),
        ...{ pools: new Map(), denied: new Set(), exceeding: [], ignored: new Map() },
        failing: new Set(isFailing ? [DRILL] : []),
      },
      receivedAt: now - 1_000_000n,
      verifiedAt: now - 900_000n,
      pushed: { at: 123, boot: 'service-boot' },
    },
    ...{ pending: new Set(), unserved: new Map() },
    withdrawn: { versions: [], more: 0, mappings: 0 },
    table: { ...EMPTY_TABLE, files: canaries.map((version, index) => canary(version, index === 0)) },
    moments: { deniedAt: now - 500_000n, effectAt: now },
    zeroedAt: now,
  };
}

function canary(version: number, named: boolean): ServedFile {
  return {
    view: 'lapse-probe',
    path: `drill/canary@${version}`,
    file: 'canary',
    version,
    named,
  } as unknown as ServedFile;
}
