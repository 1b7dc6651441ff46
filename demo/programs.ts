// Starts the real programs, as their users would: `lapse-service` and `lapsed` in the background, `lapse` for each
// change. Logs go to files in the demo's directory, because those are searched for plaintext too.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../client/clock.ts';
import { callControl } from '../daemon/control/client.ts';
import { on, splitCpus } from './cpus.ts';

const CPUS = splitCpus();

const bin = (program: string): string => fileURLToPath(new URL(`../bin/${program}`, import.meta.url));

/** The parts of the demo's directory. */
export interface Places {
  readonly work: string;
  readonly operator: string;
  readonly store: string;
  readonly state: string;
  /** What containers bind; `fs` in it is the mount. */
  readonly shared: string;
  readonly control: string;
  readonly logs: string;
}

export async function makePlaces(work: string): Promise<Places> {
  const at = (...names: string[]): string => join(work, ...names);
  const places = {
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

/** Starts a program with its output in a log file. */
export function launch(
  places: Places,
  clock: Clock,
  name: string,
  command: readonly [string, ...string[]],
): Program {
  const log = openSync(join(places.logs, `${name}.log`), 'a', 0o600);
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', log, log] });
  closeSync(log);
  return new Program(name, child, clock);
}

export async function startService(places: Places, clock: Clock): Promise<{ program: Program; url: string }> {
  const command = [bin('lapse-service'), '--data', places.store, '--listen', '127.0.0.1:0'];
  const program = launch(places, clock, 'lapse-service', on(CPUS.others, command));
  const url = await until(clock, program, places, async () => {
    const log = await readFile(join(places.logs, 'lapse-service.log'), 'utf8');
    return /listening on (http:\S+)/.exec(log)?.[1];
  });
  return { program, url };
}

/** `command` is `bin/lapsed`, or the sabotaged one. Resolves when it serves under a lease. */
export async function startDaemon(
  places: Places,
  clock: Clock,
  url: string,
  command: readonly [string, ...string[]] = [bin('lapsed')],
): Promise<Program> {
  const config = join(places.work, 'lapsed.toml');
  await writeFile(
    config,
    [
      `service = "${url}"`,
      `root = "${join(places.operator, 'root.json')}"`,
      `pool_keys = ["${join(places.operator, 'pools', 'default.x25519')}"]`,
      `state = "${places.state}"`,
      `mount = "${join(places.shared, 'fs')}"`,
      `control = "${places.control}"`,
    ].join('\n'),
  );
  const program = launch(places, clock, 'lapsed', on(CPUS.host, [...command, '--config', config]));
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
  readonly ms: Readonly<Record<string, number>>;
  readonly processMs: number;
}

/** Runs `lapse` with `input` on its stdin; the value goes through a pipe and nothing else. */
export async function lapse(places: Places, args: readonly string[], input?: Uint8Array): Promise<Change> {
  const command = [bin('lapse'), '--json', '--realm', places.operator, ...args];
  const [program, ...rest] = on(CPUS.others, command);
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

/** Asks until there is an answer; fails when the program ends, or after 10 s, which ends it, with the end of its log. */
async function until<T>(
  clock: Clock,
  program: Program,
  places: Places,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = clock.boot() + 10_000;
  while (program.running && clock.boot() < deadline) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await clock.sleep(20);
  }
  await program.stop();
  const log = await readFile(join(places.logs, `${program.name}.log`), 'utf8');
  throw new Error(`${program.name} did not start:\n${log.slice(-2000)}`);
}
