// Starts hold.sh with the held test server in a home of its own (tmpfs), and readers of what it serves. Disposing of it
// ends every process of the group and detaches every mount, whatever happened.
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseMountinfo } from '../../fuse/mountinfo.ts';
import { NODE, MANY } from './fuse-hold-tree.ts';
import type { Switch } from './fuse-hold-tree.ts';

const PATIENCE = 30_000;
const HOLDER = fileURLToPath(new URL('../../fuse/hold/hold.sh', import.meta.url));
const SERVER = fileURLToPath(new URL('../mount/hold-server.ts', import.meta.url));
const READER = fileURLToPath(new URL('../mount/hold-reader.c', import.meta.url));

/** Polls until it is true; the time is the patience of a test, not a claim. */
export async function until(what: string | (() => string), condition: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not in time: ${typeof what === 'string' ? what : what()}`);
    await sleep(5);
  }
}

export function compileReader(directory: string): string {
  const program = join(directory, 'reader');
  const flags = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror'];
  execFileSync('gcc', [...flags, '-o', program, READER], { timeout: 60_000 });
  return program;
}

/** A directory that is a mount of its own, and whose mounts propagate. */
export class Home implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'lapse-hold-'));

  constructor(...directories: string[]) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=700', '--make-shared', 'none', this.path]);
    for (const name of directories) mkdirSync(this.at(name));
  }

  at(name: string): string {
    return join(this.path, name);
  }

  /** What is mounted below it. */
  mounts(): string[] {
    return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'))
      .map(({ directory }) => directory)
      .filter((directory) => directory.startsWith(`${this.path}/`));
  }

  [Symbol.dispose](): void {
    // One may take others with it.
    for (let top = this.mounts().at(-1); top !== undefined; top = this.mounts().at(-1)) {
      execFileSync('umount', ['-i', '-c', '-f', '-l', '--', top], { timeout: PATIENCE });
    }
    execFileSync('umount', ['-l', this.path], { timeout: PATIENCE });
    rmSync(this.path, { recursive: true });
  }
}

export interface HoldOptions {
  readonly limitMs?: number;
  readonly startMs?: number;
  readonly maxCrashes?: number;
}

export class Hold implements AsyncDisposable {
  readonly home = new Home('run', 'private', 'public', 'control');
  readonly public = this.home.at('public');
  readonly private = this.home.at('private');
  /** When the holder has ended, and everything that it and its servers wrote is in the log. */
  readonly exited: Promise<unknown[]>;
  readonly #child: ChildProcess;
  readonly #dead: Promise<unknown>;
  #log = '';
  #closed = false;
  #disposed = false;

  /** A limit that no server exceeds because the machine stood still: where it is not what a test is about, nobody waits for it. */
  private constructor({ limitMs = 5000, startMs = 20_000, maxCrashes }: HoldOptions) {
    const [run, control] = [this.home.at('run'), this.home.at('control')];
    const server = [SERVER, run, this.private, this.public, control];
    const command = [process.execPath, ...server, String(limitMs / 4)];
    const holder = [HOLDER, run, String(limitMs), String(startMs)];
    this.#child = spawn('bash', [...holder, ...command], {
      detached: true,
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, ...(maxCrashes && { HOLD_MAX_CRASHES: String(maxCrashes) }) },
    });
    this.exited = once(this.#child, 'close');
    this.#dead = once(this.#child, 'exit');
    this.#child.once('close', () => (this.#closed = true));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
  }

  static async start(options: HoldOptions = {}): Promise<Hold> {
    const hold = new Hold(options);
    try {
      await hold.said(/ is ready/);
    } catch (error) {
      await hold[Symbol.asyncDispose]();
      throw error;
    }
    return hold;
  }

  /** Every line that the holder and its servers wrote so far. */
  get log(): string {
    return this.#log;
  }

  /** How often they wrote it. */
  count(line: RegExp): number {
    return this.#log.match(new RegExp(line, 'gm'))?.length ?? 0;
  }

  async said(line: RegExp, times = 1): Promise<void> {
    const said = (): boolean => this.count(line) >= times;
    await until(
      () => `${line} in\n${this.#log}`,
      () => said() || this.#closed,
    );
    if (!said()) throw new Error(`the holder ended without ${line}:\n${this.#log}`);
  }

  /** Of the server that serves. The holder empties the file before it writes it. */
  get pid(): number {
    for (let attempt = 0; attempt < PATIENCE; attempt += 1) {
      const pid = Number(readFileSync(join(this.home.at('run'), 'pid'), 'utf8'));
      if (pid > 0) return pid;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
    throw new Error(`no server:\n${this.#log}`);
  }

  signalServer(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  signalHolder(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  turnOn(name: Switch): void {
    writeFileSync(join(this.home.at('control'), name), '');
  }

  turnOff(name: Switch): void {
    rmSync(join(this.home.at('control'), name));
  }

  isOn(name: Switch): boolean {
    return existsSync(join(this.home.at('control'), name));
  }

  /** For what this process itself asks of the mount: if it hangs, everything is ended, or the process could not end. */
  async answers<T>(work: Promise<T>): Promise<T> {
    const late = sleep(PATIENCE, 'late' as const, { ref: false });
    const answer = await Promise.race([work.then((value) => ({ value })), late]);
    if (answer !== 'late') return answer.value;
    work.catch(() => undefined);
    await this[Symbol.asyncDispose]();
    throw new Error(`no answer in time:\n${this.#log}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    try {
      process.kill(-(this.#child.pid ?? 0), 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    await this.#dead;
    this.home[Symbol.dispose]();
  }
}

export function nodeOf(name: string): number {
  const many = MANY.indexOf(name);
  return many < 0 ? NODE[name as keyof typeof NODE] : NODE.firstOfMany + many;
}

/** A process of hold-reader.c. */
export class Reader implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly #child;
  readonly #exited: Promise<unknown[]>;

  private constructor(command: readonly string[]) {
    const [program = '', ...parameters] = command;
    this.#child = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#exited = once(this.#child, 'close');
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.lines.push(line));
  }

  /** Resolves when it has said its first line. */
  static async start(...command: string[]): Promise<Reader> {
    const reader = new Reader(command);
    try {
      await until(`${command.join(' ')} starts`, () => reader.lines.length > 0);
      return reader;
    } catch (error) {
      await reader[Symbol.asyncDispose]();
      throw error;
    }
  }

  static file(program: string, mode: string, directory: string, name: string): Promise<Reader> {
    return Reader.start(program, mode, join(directory, name), String(nodeOf(name)));
  }

  proceed(): void {
    this.#child.stdin.write('\n');
  }

  /** When it said the state, in milliseconds of CLOCK_MONOTONIC. */
  async says(state: string): Promise<number> {
    const line = (): string | undefined => this.lines.find((text) => text.endsWith(` ${state}`));
    await until(
      () => `a reader says ${state}, not ${this.lines.join(', ')}`,
      () => line() !== undefined,
    );
    return Number(line()?.split(' ')[0]);
  }

  /** Ends it in order; what it said last, read to the end. */
  async finish(): Promise<string | undefined> {
    this.#child.kill('SIGTERM');
    await this.#closed();
    return this.lines.at(-1);
  }

  async #closed(): Promise<void> {
    const late = sleep(PATIENCE, 'late', { ref: false });
    if ((await Promise.race([this.#exited, late])) === 'late') throw new Error('a reader does not end');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await this.#closed();
  }
}
