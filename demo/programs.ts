// Starts the real programs, as their users would: `lapse-service` and `lapsed` in the background, `lapse` for each
// change. Logs go to files in the demo's directory, because those are searched for plaintext too.
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Clock } from '../client/clock.ts';
import { callControl } from '../daemon/control/client.ts';
import { encodeInvite, parseInvite } from '../manifest/realm/invite.ts';
import { on, splitCpus } from './cpus.ts';
import type { Cpus } from './cpus.ts';

const bin = (program: string): string => fileURLToPath(new URL(`../bin/${program}`, import.meta.url));

/** The parts of the demo's directory. */
export interface Places {
  readonly cpus: Cpus;
  /** Words before each of the host's own programs: where else than here they run. */
  readonly enter: readonly string[];
  /** Further lines of lapsed.toml. */
  readonly settings: readonly string[];
  readonly work: string;
  readonly operator: string;
  readonly store: string;
  readonly state: string;
  /** What containers bind; `fs` in it is the mount. */
  readonly shared: string;
  readonly control: string;
  readonly logs: string;
}

export async function makePlaces(
  work: string,
  cpus = splitCpus(),
  { enter = [], settings = [] }: Partial<Pick<Places, 'enter' | 'settings'>> = {},
): Promise<Places> {
  const at = (...names: string[]): string => join(work, ...names);
  const places = {
    cpus,
    enter,
    settings,
    work,
    operator: at('operator'),
    store: at('store'),
    state: at('state'),
    shared: at('run', 'lapse'),
    control: at('run', 'lapsed', 'control.sock'),
    logs: at('logs'),
  };
  await mkdir(places.logs, { recursive: true });
  return places;
}

/** A host's /run is in memory, and so is the one in `work`: a disk that stands still must stop nobody who serves. */
export async function mountRun(work: string): Promise<void> {
  const directory = join(work, 'run');
  await mkdir(directory, { recursive: true });
  await promisify(execFile)('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'lapse-run', directory]);
}

export class Program {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #clock: Clock;

  constructor(name: string, child: ChildProcess, clock: Clock) {
    this.name = name;
    this.#child = child;
    this.#clock = clock;
    this.#ended = once(child, 'exit');
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Until it has ended by itself. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** SIGTERM, and SIGKILL when that is not heeded; how long the end took, in milliseconds. */
  async stop(patienceMs = 4000): Promise<number> {
    const started = this.#clock.monotonic();
    if (this.running) {
      this.#child.kill('SIGTERM');
      await Promise.race([this.#ended, this.#clock.sleep(patienceMs)]);
      this.#child.kill('SIGKILL');
      await this.#ended;
    }
    return Number(this.#clock.monotonic() - started) / 1e6;
  }
}

/** Starts a program with its output in a log file. Ctrl-C does not reach it: whoever started it ends it, in order. */
export function launch(
  places: Places,
  clock: Clock,
  name: string,
  command: readonly [string, ...string[]],
): Program {
  const log = openSync(join(places.logs, `${name}.log`), 'a', 0o600);
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  return new Program(name, child, clock);
}

/** Where the service is, and how to know it. */
export interface ServiceAt {
  readonly url: string;
  readonly pin: string;
}

/** HTTPS on a free port; `data` and `listen` for one that was there before. */
export async function startService(
  places: Places,
  clock: Clock,
  { listen = '127.0.0.1:0' } = {},
): Promise<{ program: Program; at: ServiceAt }> {
  const command = [bin('lapse-service'), '--data', places.store, '--listen', listen];
  const file = join(places.logs, 'lapse-service.log');
  // What stands there already, one before this said.
  const { length } = await readFile(file).catch(() => Buffer.alloc(0));
  const program = launch(places, clock, 'lapse-service', on(places.cpus.others, command));
  const at = await until(clock, program, places, async () => {
    const log = (await readFile(file)).toString('utf8', length);
    const [, url, pin] = /listening on (https:\S+) pin (sha256:\S+)\n(?!.*listening)/s.exec(log) ?? [];
    return url === undefined || pin === undefined ? undefined : { url, pin };
  });
  return { program, at };
}

/** Makes the realm and its operator, whose identities stay open to whoever reads the directory. */
export async function makeRealm(places: Places, { url, pin }: ServiceAt, lease: string): Promise<void> {
  await lapse(places, ['init', '--service', url, '--pin', pin, '--lease', lease, '--no-passphrase']);
}

export interface JoinOptions {
  readonly name?: string;
  readonly pools?: readonly string[];
  /** Where this host finds the service, if not where the operator does. */
  readonly via?: string;
}

/** This machine joins as a host: an invitation, `lapsed join`, and the operator's approval. */
export async function joinFleet(
  places: Places,
  clock: Clock,
  { name = 'host-1', pools = ['default'] as readonly string[], via }: JoinOptions = {},
): Promise<void> {
  const config = await writeDaemonConfig(places);
  const pool = pools.flatMap((each) => ['--pool', each]);
  const { invite } = (await lapse(places, ['host', 'invite', ...pool])) as unknown as {
    readonly invite: string;
  };
  const join = [bin('lapsed'), 'join', '--config', config, '--name', name];
  const [program, ...rest] = on(places.cpus.host, [...places.enter, ...join]);
  const child = spawn(program, rest, { stdio: ['pipe', 'ignore', 'pipe'] });
  child.stdin.end(`${via === undefined ? invite : redirected(invite, via)}\n`);
  const ended = Promise.all([text(child.stderr), once(child, 'exit')]);
  try {
    await approve(places, clock, name);
  } catch (error) {
    child.kill();
    throw error;
  }
  const [errors] = await ended;
  if (child.exitCode !== 0) throw new Error(`lapsed join failed: ${errors.trim()}`);
}

/** What proves the request says nothing of where the service is: its pin says that it is the same. */
function redirected(invite: string, service: string): string {
  return encodeInvite({ ...parseInvite(Buffer.from(invite)), service }).toString('latin1');
}

/** The request takes a moment to arrive. */
async function approve(places: Places, clock: Clock, name: string): Promise<void> {
  const deadline = clock.boot() + 30_000;
  for (;;) {
    try {
      await lapse(places, ['host', 'approve', name, '--yes']);
      return;
    } catch (error) {
      if (clock.boot() > deadline || !String(error).includes('join-unknown')) throw error;
      await clock.sleep(50);
    }
  }
}

async function writeDaemonConfig(places: Places): Promise<string> {
  const config = join(places.work, 'lapsed.toml');
  await writeFile(
    config,
    [
      `state = "${places.state}"`,
      `mount = "${join(places.shared, 'fs')}"`,
      `control = "${places.control}"`,
      ...places.settings,
    ].join('\n'),
  );
  return config;
}

/** As systemd/lapsed.service says. */
const NICE = '-10';

/** `command` is `bin/lapsed`, or the sabotaged one. Resolves when it serves under a lease. */
export async function startDaemon(
  places: Places,
  clock: Clock,
  command: readonly [string, ...string[]] = [bin('lapsed')],
): Promise<Program> {
  const config = await writeDaemonConfig(places);
  const program = launch(
    places,
    clock,
    'lapsed',
    on(places.cpus.host, ['nice', '-n', NICE, ...places.enter, ...command, '--config', config]),
  );
  await until(clock, program, places, async () => {
    const status = await daemonStatus(places, clock).catch(() => undefined);
    return status?.lease.holds === true ? status : undefined;
  });
  return program;
}

export interface DaemonStatus {
  readonly lease: { readonly holds: boolean };
  readonly effects: readonly { version: string; change: string; receivedAt: string; effectAt: string }[];
}

export async function daemonStatus(places: Places, clock: Clock): Promise<DaemonStatus> {
  const { body } = await callControl({ to: places.control, method: 'GET', path: '/v1/status' }, clock);
  return JSON.parse(body) as DaemonStatus;
}

/** What `lapse --json` printed. */
export interface Change {
  readonly version?: number;
  readonly clockZero: string;
  /** Lengths of the stages, and the moments `firstReceipt` and `lastReceipt` since clock zero. */
  readonly ms: Readonly<Record<string, number>>;
  readonly processMs: number;
}

/** Runs `lapse` with `input` on its stdin; the value goes through a pipe and nothing else. */
export async function lapse(places: Places, args: readonly string[], input?: Uint8Array): Promise<Change> {
  const command = [bin('lapse'), '--json', '--realm', places.operator, ...args];
  const [program, ...rest] = on(places.cpus.others, command);
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(input);
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  if (code !== 0) throw new Error(`lapse ${args.join(' ')} failed: ${err.trim()}`);
  return JSON.parse(out) as Change;
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Asks until there is an answer; fails when the program ends, or after 30 s, which ends it, with the end of its log. */
async function until<T>(
  clock: Clock,
  program: Program,
  places: Places,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = clock.boot() + 30_000;
  while (program.running && clock.boot() < deadline) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await clock.sleep(20);
  }
  await program.stop();
  const log = await readFile(join(places.logs, `${program.name}.log`), 'utf8');
  throw new Error(`${program.name} did not start:\n${log.slice(-2000)}`);
}
