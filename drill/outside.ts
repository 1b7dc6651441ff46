// What a drill needs to look at a fleet from outside: a secret of its own, whose value is new in every trial, and an onlooker on
// every host. Lapsed takes no part in it, and the changes are made by the ordinary commands.
import { randomBytes } from 'node:crypto';
import type { Clock } from '../client/clock.ts';
import { withdrawnAt } from '../demo/measure.ts';
import { daemonStatus } from '../demo/programs.ts';
import { lapse } from './command.ts';
import type { Outcome } from './command.ts';
import type { Fleet } from './fleet.ts';
import { Onlooker } from './onlooker.ts';
import type { StoodStill } from './standstills.ts';

/** The secret, and the file in the view of the onlookers. */
const FILE = 'token';
/** How long any one state is waited for, in milliseconds. */
const PATIENCE_MS = 30_000;
const POLL_MS = 20;

interface Given {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly stoodStill: StoodStill;
}

export class Outside implements AsyncDisposable {
  readonly fleet: Fleet;
  readonly onlookers: readonly Onlooker[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly stoodStill: StoodStill;
  /** Of the namespace, and of the onlookers' workload. */
  readonly #name: string;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    fleet: Fleet,
    onlookers: readonly Onlooker[],
    name: string,
    { clock, signal, stoodStill }: Given,
    resources: AsyncDisposableStack,
  ) {
    this.fleet = fleet;
    this.onlookers = onlookers;
    this.#name = name;
    this.clock = clock;
    this.signal = signal;
    this.stoodStill = stoodStill;
    this.#resources = resources;
  }

  /** With names of its own, whoever looked at this fleet before. */
  static async start(fleet: Fleet, given: Given): Promise<Outside> {
    const { clock, signal } = given;
    await using stack = new AsyncDisposableStack();
    const name = `outside-${randomBytes(4).toString('hex')}`;
    await succeed(fleet, clock, signal, ['namespace', 'add', name]);
    const onlookers: Onlooker[] = [];
    for (const host of fleet.hosts) onlookers.push(stack.use(await Onlooker.start(host, name, FILE, clock)));
    return new Outside(fleet, onlookers, name, given, stack.move());
  }

  get #secret(): string {
    return `${this.#name}/${FILE}`;
  }

  /** A new value, which every onlooker has read in every way when this resolves; its version. */
  async put(): Promise<number> {
    const since = this.clock.monotonic();
    const value = randomBytes(24);
    const args = ['secret', 'put', this.#secret, '--grant', this.#name];
    const { version } = (await succeed(this.fleet, this.clock, this.signal, args, value)) as {
      version: number;
    };
    const patience = this.patience();
    await Promise.all(this.onlookers.map((onlooker) => onlooker.arm(since, patience)));
    return version;
  }

  /** Without waiting for receipts, and however it ends. */
  revoke(): Promise<Outcome> {
    const args = ['revoke', this.#secret, '--yes', '--no-wait'];
    return lapse(this.fleet.places, this.clock, args, { signal: this.signal });
  }

  /** When the version's withdrawal was in effect on the host; nanoseconds of CLOCK_MONOTONIC. */
  effectOf({ host }: Onlooker, version: number): Promise<bigint> {
    return this.until(`the withdrawal on ${host.name}`, async () => {
      const status = await daemonStatus(host.places, this.clock).catch(() => undefined);
      return status && withdrawnAt(status, `${this.#secret}@${version}`);
    });
  }

  /** Every host serves under a lease. */
  async untilServed(): Promise<void> {
    for (const { name, places } of this.fleet.hosts)
      await this.until(`a lease of ${name}`, async () => {
        const status = await daemonStatus(places, this.clock).catch(() => undefined);
        return status?.lease.holds === true || undefined;
      });
  }

  async until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
    const patience = this.patience();
    for (;;) {
      const answer = await ask();
      if (answer !== undefined) return answer;
      if (patience.aborted) throw new Error(`there was no: ${what}`);
      await this.clock.sleep(POLL_MS, this.signal);
    }
  }

  patience(ms = PATIENCE_MS): AbortSignal {
    return AbortSignal.any([this.signal, this.clock.deadline(ms)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

/** Runs a command that has to succeed. */
export async function succeed(
  { places }: Fleet,
  clock: Clock,
  signal: AbortSignal,
  args: readonly string[],
  input?: Uint8Array,
): Promise<unknown> {
  const { code, json, said } = await lapse(places, clock, args, { signal, ...(input ? { input } : {}) });
  if (code !== 0) throw new Error(`lapse ${args.join(' ')} failed: ${said}`);
  return json;
}
