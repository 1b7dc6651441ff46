// One machine for tests: a real service with a realm, a real lapsed with its mount, and processes that read from
// control groups of their own. `await using host = await Host.start()` takes everything away again, also after a
// failure: processes, control groups, mounts, and the directory.
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../client/clock.ts';
import { callControl } from '../../daemon/control/client.ts';
import {
  daemonStatus,
  joinFleet,
  lapse,
  makePlaces,
  makeRealm,
  mountRun,
  startService,
} from '../../demo/programs.ts';
import type { Change, DaemonStatus, Places, Program, ServiceAt } from '../../demo/programs.ts';
import { parseMountinfo } from '../../fuse/mountinfo.ts';
import type { RealmId } from '../../manifest/names.ts';
import { Cgroup } from './lapsed-cgroup.ts';
import { Probe, compileProbe } from './lapsed-probe.ts';

const clock = systemClock();
const bin = (program: string): string => fileURLToPath(new URL(`../../bin/${program}`, import.meta.url));

export interface LeaseStatus {
  readonly holds: boolean;
  readonly remainingMs: number;
}

export interface Problem {
  readonly code: string;
  readonly message: string;
}

export interface Status extends DaemonStatus {
  readonly realm: RealmId;
  readonly stream: 'open' | 'down';
  readonly lastError: string | null;
  readonly host: string;
  readonly membership: string;
  readonly lease: LeaseStatus;
  /** By namespace. */
  readonly leases: Readonly<Record<string, LeaseStatus>>;
  readonly receipts: { readonly pending: number; readonly lastError: string | null };
  readonly drill: { readonly state: string; readonly id?: string; readonly trialsToday: number };
  readonly alarms: readonly Problem[];
  readonly problems: readonly Problem[];
  readonly workloads: readonly { readonly id: string; readonly workload: string }[];
  readonly files: readonly { readonly view: string; readonly file: string; readonly version: string }[];
  readonly vault: { readonly held: number; readonly open: number };
}

/** Keys of lapsed.toml that differ from the usual ones. */
export type ConfigChanges = Readonly<Record<string, string | number | readonly string[]>>;

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** From the signal that was sent, or since it was waited for. */
  readonly ms: number;
}

/** How long what must happen may take, in milliseconds: far more than it takes, also where little of a machine is left for it. */
const PATIENCE = 20_000;

/** For `expect.poll`, which would give up after a second. */
export const soon = { interval: 20, timeout: PATIENCE } as const;

/** Asks until there is an answer. */
export async function until<T>(what: string, ask: () => Promise<T | undefined>, ms = PATIENCE): Promise<T> {
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await sleep(20);
  }
  throw new Error(`in ${ms} ms there was no: ${what}`);
}

/** What is mounted at or below a directory. */
export function mountsBelow(directory: string): readonly { directory: string; type: string }[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')).filter(
    (entry) => entry.directory === directory || entry.directory.startsWith(`${directory}/`),
  );
}

export interface Traces {
  readonly config: string;
  readonly log: string;
  /** The directory of the control socket. */
  readonly run: string;
}

/** A lapsed that runs, or did: the holder, and the servers under it. */
export class Lapsed {
  readonly #child: ChildProcess;
  readonly #traces: Traces;
  readonly #exited: Promise<unknown>;

  constructor(command: readonly [string, ...string[]], traces: Traces) {
    const [program, ...args] = command;
    const file = openSync(traces.log, 'w', 0o600);
    this.#child = spawn(program, [...args, '--config', traces.config], { stdio: ['ignore', file, file] });
    closeSync(file);
    this.#traces = traces;
    this.#exited = once(this.#child, 'exit');
  }

  /** The holder. */
  get pid(): number {
    return this.#child.pid!;
  }

  /** The one that serves. Not for an engine without a holder, which empties the file before it writes it. */
  get server(): number {
    for (let attempt = 0; attempt < 1000; attempt++) {
      const pid = Number(readFileSync(join(this.#traces.run, 'pid'), 'utf8'));
      if (pid > 0) return pid;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
    throw new Error(`no server:\n${this.log}`);
  }

  /** Every process that was started with its configuration, which no other one has. */
  get processes(): readonly number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && commandOf(name).includes(this.#traces.config))
      .map(Number);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get log(): string {
    return readFileSync(this.#traces.log, 'utf8');
  }

  /** Waits for its end. */
  async ended(patienceMs = PATIENCE): Promise<Ending> {
    const before = performance.now();
    if (this.running) await Promise.race([this.#exited, sleep(patienceMs, undefined, { ref: false })]);
    if (this.running) throw new Error(`lapsed did not end in ${patienceMs} ms:\n${this.log}`);
    return {
      code: this.#child.exitCode,
      signal: this.#child.signalCode,
      ms: performance.now() - before,
    };
  }

  /** Waits until none of its processes is left. */
  async gone(): Promise<void> {
    const none = (): true | undefined => (this.processes.length === 0 ? true : undefined);
    await until('end of all processes', () => Promise.resolve(none())).catch((cause: unknown) => {
      throw new Error(`${this.processes.join(' ')} did not end:\n${this.log}`, { cause });
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  signalServer(signal: NodeJS.Signals): void {
    process.kill(this.server, signal);
  }

  /** Waits until another process serves than this one. */
  serverAfter(pid: number, patienceMs?: number): Promise<number> {
    const ask = (server: number): number | undefined => (server === pid ? undefined : server);
    return until(`server after ${pid}`, () => Promise.resolve(ask(this.server)), patienceMs);
  }

  /** Waits until holder and servers said it so often. */
  async said(line: RegExp, times = 1, patienceMs?: number): Promise<void> {
    const said = (): boolean => (this.log.match(new RegExp(line, 'gm'))?.length ?? 0) >= times;
    await until(`${line}`, () => Promise.resolve(said() || undefined), patienceMs).catch((cause: unknown) => {
      throw new Error(`not said: ${line}\n${this.log}`, { cause });
    });
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ending> {
    this.signal(signal);
    return this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.killAll();
    await this.ended();
  }

  /** Holder and servers at once: first they stand still, so that none notices the end of another. */
  killAll(): void {
    if (this.running) this.signal('SIGSTOP');
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of this.processes) send(pid, signal);
  }
}

/** To a process that may have ended. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Its words; none when it is gone. */
function commandOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** How long a server may not be heard of, and how long it may take to be ready; milliseconds. */
export interface HolderLimits {
  readonly deadAfterMs: number;
  readonly startMs: number;
}

/** lapsed under a holder with other limits than bin/lapsed gives it; `control` as in the configuration. */
export function underHolder(
  { control }: Places,
  { deadAfterMs = 10_000, startMs = 15_000 }: Partial<HolderLimits>,
): readonly [string, ...string[]] {
  const run = dirname(control);
  mkdirSync(run, { recursive: true, mode: 0o700 });
  const [holder, main] = ['fuse/hold/hold.sh', 'daemon/main.ts'].map((name) =>
    fileURLToPath(new URL(`../../${name}`, import.meta.url)),
  );
  const command = [
    'bash',
    holder!,
    run,
    String(deadAfterMs),
    String(startMs),
    process.execPath,
    main!,
    'serve',
  ];
  return ['sh', '-c', 'ulimit -c 0 && exec "$@"', 'sh', ...command];
}

/** A directory with everything of one machine, where a lapsed may run. Whoever makes one gives what it joins. */
export class Machine implements AsyncDisposable {
  readonly places: Places;
  readonly mount: string;
  protected resources: AsyncDisposableStack;
  #lapsed: Lapsed | undefined;
  #launched = 0;

  protected constructor(places: Places, resources: AsyncDisposableStack) {
    this.places = places;
    this.mount = join(places.shared, 'fs');
    this.resources = resources;
  }

  /** `onDisk` is also for what belongs in memory, as /run is. */
  protected static async places(stack: AsyncDisposableStack, onDisk = true): Promise<Places> {
    const work = await mkdtemp(join(tmpdir(), 'lapse-host-'));
    stack.defer(() => rm(work, { recursive: true }));
    stack.defer(() => unmountAll(work));
    // Readers that are not root must reach the mount.
    await chmod(work, 0o711);
    if (!onDisk) await mountRun(work);
    return makePlaces(work);
  }

  get lapsed(): Lapsed {
    if (!this.#lapsed) throw new Error('lapsed was not started');
    return this.#lapsed;
  }

  /** What is mounted below its directory, but for the memory that it was given. */
  get mounts(): readonly string[] {
    return mountsBelow(this.places.work)
      .map(({ type }) => type)
      .filter((type) => type !== 'tmpfs');
  }

  async status(): Promise<Status> {
    return (await daemonStatus(this.places, clock)) as Status;
  }

  /** Waits for a status that fits; `what` says which. */
  statusOf(what: string, fits: (status: Status) => boolean): Promise<Status> {
    return until(what, async () => {
      const status = await this.status().catch(() => undefined);
      return status && fits(status) ? status : undefined;
    });
  }

  /** Waits until the lease of a namespace has just been renewed, so that all of its length is left. */
  async renewed(namespace = 'payments'): Promise<void> {
    let before = Infinity;
    await this.statusOf('a lease that was just renewed', ({ leases }) => {
      const [last, left] = [before, leases[namespace]?.remainingMs ?? 0];
      before = left;
      return left > last;
    });
  }

  async effect(version: string, change: 'shown' | 'superseded' | 'withdrawn'): Promise<void> {
    await this.statusOf(`${version} ${change}`, ({ effects }) =>
      effects.some((effect) => effect.version === version && effect.change === change),
    );
  }

  /** Starts lapsed and waits until it serves under a lease. */
  async startLapsed(changes: ConfigChanges = {}, command?: readonly [string, ...string[]]): Promise<Lapsed> {
    const lapsed = await this.launchLapsed(changes, command);
    this.#lapsed = lapsed;
    await until('lease', async () => {
      if (!lapsed.running) throw new Error(`lapsed did not start:\n${lapsed.log}`);
      return (await this.status().catch(() => undefined))?.lease.holds === true ? true : undefined;
    });
    return lapsed;
  }

  /** Starts lapsed and leaves it alone; `command` takes the place of bin/lapsed. */
  async launchLapsed(
    changes: ConfigChanges = {},
    command: readonly [string, ...string[]] = [bin('lapsed')],
  ): Promise<Lapsed> {
    const number = ++this.#launched;
    const config = join(this.places.work, `lapsed-${number}.toml`);
    await writeFile(config, this.config(changes));
    const log = join(this.places.logs, `lapsed-${number}.log`);
    const run = dirname(String(changes['control'] ?? this.places.control));
    return this.resources.use(new Lapsed(command, { config, log, run }));
  }

  /**
   * The text of a configuration: TOML writes these values as JSON does. A machine that stands still for a moment ends no server,
   * but where a test is about that.
   */
  config(changes: ConfigChanges = {}): string {
    const { state, control } = this.places;
    const usual = { state, mount: this.mount, control, dead_after: '10s' };
    return Object.entries({ ...usual, ...changes })
      .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
      .join('');
  }

  /** A process in a fresh control group that is registered as a workload. */
  async inWorkload(workload: string): Promise<Probe> {
    const probe = await this.unregistered();
    await this.register(probe, workload);
    return probe;
  }

  /** A process in a fresh control group that nobody told lapsed of. */
  async unregistered(): Promise<Probe> {
    const group = this.group();
    return this.resources.use(await Probe.start(await compileProbe(this.places.work), group, this.mount));
  }

  group(): Cgroup {
    return this.resources.use(Cgroup.make());
  }

  /** As the OCI hook does it. */
  async register(probe: Probe, workload: string): Promise<void> {
    const body = { id: probe.group.name, workload, cgroup: probe.cgroupText };
    await this.#control('POST', '/v1/workloads', body);
  }

  async unregister(probe: Probe): Promise<void> {
    await this.#control('DELETE', `/v1/workloads/${probe.group.name}`);
  }

  async #control(method: 'POST' | 'DELETE', path: string, body?: object): Promise<void> {
    const to = this.places.control;
    const answer = await callControl({ to, method, path, ...(body && { body }) }, clock);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.body}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.resources.disposeAsync();
  }
}

/** A machine with a realm of its own: the real service, and an operator with the real command. */
export class Host extends Machine {
  readonly at: ServiceAt;
  #service: Program;
  readonly #newest = new Map<string, string>();

  private constructor(
    places: Places,
    service: { program: Program; at: ServiceAt },
    resources: AsyncDisposableStack,
  ) {
    super(places, resources);
    this.#service = service.program;
    this.at = service.at;
    resources.defer(() => this.stopService());
  }

  /**
   * With the realm, the namespace `payments`, and this machine as its host; `lapsed: false` leaves the daemon to the test,
   * `joined: false` also the joining. With `onDisk: false` the run directory is in memory.
   */
  static async start({ lease = '60s', lapsed = true, joined = true, onDisk = true } = {}): Promise<Host> {
    await using stack = new AsyncDisposableStack();
    const places = await Machine.places(stack, onDisk);
    const service = await startService(places, clock);
    const host = new Host(places, service, stack);
    await makeRealm(places, service.at, lease);
    await host.lapse('namespace', 'add', 'payments');
    if (joined) await joinFleet(places, clock);
    if (joined && lapsed) await host.startLapsed();
    host.resources = stack.move();
    return host;
  }

  /** Runs the operator's command. */
  lapse(...args: readonly string[]): Promise<Change> {
    return lapse(this.places, args);
  }

  /** Publishes a value and waits until it is in effect here. */
  async put(name: string, value: string, ...args: readonly string[]): Promise<string> {
    return this.#publish(['secret', 'put', `payments/${name}`, ...args], name, value);
  }

  async rotate(name: string, value: string, ...args: readonly string[]): Promise<string> {
    return this.#publish(['rotate', `payments/${name}`, ...args], name, value);
  }

  async #publish(args: readonly string[], name: string, value: string): Promise<string> {
    // What it waits for here is the effect, so that no test hangs on a host that it has stopped.
    const { version } = await lapse(this.places, [...args, '--no-wait'], Buffer.from(value));
    const path = `payments/${name}@${version ?? 0}`;
    this.#newest.set(name, path);
    await this.effect(path, 'shown');
    return path;
  }

  /** Revokes it and waits until that is in effect here; nothing may succeed from then on. */
  async revoke(name: string): Promise<void> {
    await this.lapse('revoke', `payments/${name}`, '--yes', '--no-wait');
    await this.effect(this.#newest.get(name) ?? '', 'withdrawn');
  }

  async stopService(): Promise<void> {
    await this.#service.stop();
  }

  /** On the same address as before, unless it runs. */
  async startService(): Promise<void> {
    if (this.#service.running) return;
    const { program } = await startService(this.places, clock, { listen: new URL(this.at.url).host });
    this.#service = program;
  }
}

function unmountAll(work: string): void {
  for (const { directory } of mountsBelow(work).toReversed()) {
    // With the connection: a process that was killed while it waited for an answer of its own could not end.
    spawnSync('umount', ['-i', '-c', '-f', '-l', '--', directory], { timeout: 5000 });
  }
}
