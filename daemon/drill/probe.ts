// A drill's probe (probe.c), seen from the daemon: started, told what to count, asked what it saw, and ended. It outlives the
// server that started it; the next one finds it by what is kept in its directory, which is this class's own and has to be on
// tmpfs. Times are nanoseconds of CLOCK_MONOTONIC. Whoever started or adopted one owes `stop`.
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../client/clock.ts';
import { isLapseError } from '../../manifest/errors.ts';
import { WAYS } from '../../manifest/realm/drill/statement.ts';
import type { JsonObject } from '../../manifest/json.ts';
import { integer, string } from '../../manifest/shape.ts';
import { DaemonError } from '../errors.ts';
import { identifyProcess, isAlive } from '../identity/process.ts';
import type { ProcessIdentity } from '../identity/process.ts';
import { StateFile } from '../runtime/state-file.ts';
import { Page } from './page.ts';
import { ProbeGroup } from './probe-group.ts';
import type { WaySeen } from './page.ts';
import type { WaysSeen } from './way-record.ts';

/** Between two rounds: often enough to place a moment, without taking a CPU for itself. Microseconds. */
const PAUSE_US = 150;
/** How often what it saw is looked at, and whether it has ended; milliseconds. */
const POLL_MS = 2;
const PATIENCE_MS = { start: 5000, end: 300, kill: 2000 } as const;

export interface ProbeOrder {
  /** The probe's program, and the canary, where the probe runs. */
  readonly program: string;
  readonly path: string;
  /** Where it is kept; made if need be. */
  readonly directory: string;
  /** It ends by itself then. */
  readonly untilNs: bigint;
  readonly pauseUs?: number;
  /**
   * The group that it is to run in, which belongs to the probe from now on; or the words of a command that starts it
   * elsewhere, with descriptor 3 and without waiting.
   */
  readonly place: ProbeGroup | readonly string[];
}

/** By what it is found and ended. */
type Hold = ProbeGroup | ProcessIdentity;

export class Probe {
  readonly #directory: string;
  readonly #page: Page;
  readonly #hold: Hold;
  readonly #clock: Clock;
  #stopped: Promise<void> | undefined;

  private constructor(directory: string, page: Page, hold: Hold, clock: Clock) {
    this.#directory = directory;
    this.#page = page;
    this.#hold = hold;
    this.#clock = clock;
  }

  /** Resolves when it runs. @throws DaemonError probe-failed, and then nothing of it is left */
  static async start(order: ProbeOrder, clock: Clock): Promise<Probe> {
    const group = order.place instanceof ProbeGroup ? order.place : undefined;
    let page: Page | undefined;
    let probe: Probe | undefined;
    try {
      mkdirSync(order.directory, { recursive: true, mode: 0o700 });
      // First, so that a server which dies in here leaves no process that the next one cannot find.
      if (group) stateFile(order.directory).write(stateOf(group));
      page = Page.create(pageFile(order.directory), order.untilNs);
      const { hold, exit } = launch(order, page);
      probe = new Probe(order.directory, page, hold, clock);
      if (!group) stateFile(order.directory).write(stateOf(hold));
      await probe.#untilItRuns(exit);
      return probe;
    } catch (cause) {
      if (probe) await probe.stop();
      else {
        page?.[Symbol.dispose]();
        group?.remove();
        removeFiles(order.directory);
      }
      if (isLapseError(cause) && cause.code === 'probe-failed') throw cause;
      throw new DaemonError('probe-failed', `the probe cannot be started`, { cause });
    }
  }

  /**
   * The one that an earlier server left in this directory, when it still runs. What is left of one that does not is removed.
   * @throws DaemonError probe-failed when that one cannot be ended
   */
  static async adopt(directory: string, clock: Clock): Promise<Probe | undefined> {
    const page = existingPage(directory);
    const hold = existingHold(directory);
    if (page && hold) {
      const probe = new Probe(directory, page, hold, clock);
      if (probe.isRunning) return probe;
      await probe.stop();
      return undefined;
    }
    // Without its page it is of no use; without what it is found by, its page ends it.
    page?.until(0n);
    page?.[Symbol.dispose]();
    if (hold) await end(hold, clock);
    removeFiles(directory);
    return undefined;
  }

  get isRunning(): boolean {
    return isRunning(this.#hold);
  }

  /** How often it went round, and how many events inotify gave it. */
  pulse(): { readonly rounds: bigint; readonly told: bigint } {
    return this.#page.pulse() ?? { rounds: 0n, told: 0n };
  }

  /** What it saw until now; also when it has ended. @throws DaemonError probe-failed, also for the following */
  snapshot(): WaysSeen {
    return this.#page.read();
  }

  /**
   * The hash of the value that every way has read and can still read, each for the first time since that moment; undefined when
   * the signal came first. Until then, what is held of another version is let go: so not before what became of that one is known.
   */
  untilShown(since: bigint, signal: AbortSignal): Promise<bigint | undefined> {
    this.#page.letGo();
    return this.#until(signal, () => {
      const ways = this.#ways();
      const hash = ways[0]?.current?.hash;
      const isNew = ({ isRefused, current }: WaySeen): boolean =>
        !isRefused && current !== undefined && current.hash === hash && current.firstRead.end >= since;
      return ways.every(isNew) ? hash : undefined;
    });
  }

  /**
   * A trial begins, with this value as the old one, and another number than the last; `late` and `attemptsAfter` count for
   * it. What is held is held on to as long as it can be read. True when every way counts for it.
   */
  arm(trial: number, hash: bigint, signal: AbortSignal): Promise<boolean> {
    this.#page.arm(trial, hash);
    return this.untilCounted(signal);
  }

  /** Nobody may read the old value who begins after this moment, which may be past or to come. */
  effect(at: bigint): void {
    this.#page.effect(at);
  }

  /** Every way has been refused since that moment, and is. False when the signal came first. */
  async untilRefused(since: bigint, signal: AbortSignal): Promise<boolean> {
    const refused = ({ isRefused, lastRefused }: WaySeen): boolean => isRefused && lastRefused >= since;
    return (await this.#until(signal, () => this.#ways().every(refused) || undefined)) ?? false;
  }

  /** Every way has counted what began after the effect, as it was said last. False when the signal came first. */
  async untilCounted(signal: AbortSignal): Promise<boolean> {
    const { trial, effect } = this.#page.orders();
    const counted = (way: WaySeen): boolean => way.trial === trial && way.effect === effect;
    return (await this.#until(signal, () => this.#ways().every(counted) || undefined)) ?? false;
  }

  /** It ends by itself then. */
  until(at: bigint): void {
    this.#page.until(at);
  }

  /** Ends it, and removes its group and its files. @throws DaemonError probe-failed when it does not end in time */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#page.until(0n);
    this.#page[Symbol.dispose]();
    await end(this.#hold, this.#clock);
    removeFiles(this.#directory);
  }

  #ways(): readonly WaySeen[] {
    const seen = this.snapshot();
    return WAYS.map((way) => seen[way]);
  }

  async #untilItRuns(exit: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([exit, this.#clock.deadline(PATIENCE_MS.start)]);
    while (!this.#page.pulse()) {
      if (signal.aborted)
        throw failed(exit.aborted ? `ended: ${String(exit.reason)}` : 'did not start in time');
      await this.#clock.sleep(POLL_MS, signal);
    }
  }

  async #until<T>(signal: AbortSignal, look: () => T | undefined): Promise<T | undefined> {
    while (!signal.aborted) {
      const found = look();
      if (found !== undefined) return found;
      if (!this.isRunning) throw failed('has ended');
      await this.#clock.sleep(POLL_MS, signal);
    }
    return undefined;
  }
}

/** `exit` aborts when it ends, with what it ended by. */
function launch(order: ProbeOrder, page: Page): { hold: Hold; exit: AbortSignal } {
  const { program, path, place, pauseUs = PAUSE_US } = order;
  const probe = [program, path, String(pauseUs)];
  // In its group before it is the probe, so that its first open is the workload's.
  const words =
    place instanceof ProbeGroup
      ? ['/bin/sh', '-c', 'echo $$ >"$0" && exec "$@"', place.procs, ...probe]
      : [...place, ...probe];
  const [command = program, ...args] = words;
  const stdio = ['ignore', 'ignore', 'ignore', page.descriptor] as const;
  const child = spawn(command, args, { cwd: '/', detached: true, stdio: [...stdio] });
  child.unref();
  const exit = new AbortController();
  child.once('error', (error) => exit.abort(error.message));
  child.once('exit', (code, signal) => exit.abort(signal ?? `exit code ${code ?? 0}`));
  const identity = child.pid === undefined ? undefined : identifyProcess(child.pid);
  if (place instanceof ProbeGroup) return { hold: place, exit: exit.signal };
  if (!identity) throw failed(`was not started by ${command}`);
  return { hold: identity, exit: exit.signal };
}

function isRunning(hold: Hold): boolean {
  return hold instanceof ProbeGroup ? hold.members.length > 0 : isAlive(hold);
}

/** After its page has said so: by itself, or by force. */
async function end(hold: Hold, clock: Clock): Promise<void> {
  if (await hasGone(hold, clock, PATIENCE_MS.end)) return;
  if (hold instanceof ProbeGroup) hold.kill();
  else if (isAlive(hold)) process.kill(hold.pid, 'SIGKILL');
  if (!(await hasGone(hold, clock, PATIENCE_MS.kill))) throw failed('does not end');
}

async function hasGone(hold: Hold, clock: Clock, patienceMs: number): Promise<boolean> {
  const signal = clock.deadline(patienceMs);
  const isGone = (): boolean => (hold instanceof ProbeGroup ? hold.remove() : !isAlive(hold));
  while (!isGone()) {
    if (signal.aborted) return false;
    await clock.sleep(POLL_MS, signal);
  }
  return true;
}

function pageFile(directory: string): string {
  return join(directory, 'page');
}

function stateFile(directory: string): StateFile {
  return new StateFile(join(directory, 'probe.json'));
}

function stateOf(hold: Hold): JsonObject {
  return hold instanceof ProbeGroup ? { group: hold.directory } : { pid: hold.pid, start: hold.start };
}

/** None also when it cannot be used. */
function existingPage(directory: string): Page | undefined {
  try {
    return Page.open(pageFile(directory));
  } catch (error) {
    if (isLapseError(error)) return undefined;
    throw error;
  }
}

function existingHold(directory: string): Hold | undefined {
  try {
    return stateFile(directory).read((members) =>
      members['group'] === undefined
        ? { pid: integer(members['pid'], 'pid', 1), start: string(members['start'], 'start') }
        : ProbeGroup.known(string(members['group'], 'group')),
    );
  } catch (error) {
    if (isLapseError(error)) return undefined;
    throw error;
  }
}

function removeFiles(directory: string): void {
  for (const file of [pageFile(directory), join(directory, 'probe.json'), join(directory, 'probe.json.new')])
    rmSync(file, { force: true });
}

function failed(what: string): DaemonError {
  return new DaemonError('probe-failed', `the probe ${what}`);
}
