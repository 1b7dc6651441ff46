// Talks to a process of test/mount/posix/probe.c, which makes the system calls. Answers are what the call brought, or the
// name of an errno. Every answer must come in time, and none may be EIO: those two promises are thus part of every row.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';

export const AT_FDCWD = -100;

const PATIENCE = 40_000;
const SOURCES = ['probe.c', 'probe-ways.c'].map((name) =>
  fileURLToPath(new URL(`../mount/posix/${name}`, import.meta.url)),
);

export function compileProbe(directory: string): string {
  const program = join(directory, 'probe');
  const flags = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', '-pthread'];
  const { status, stderr } = spawnSync('gcc', [...flags, '-o', program, ...SOURCES], {
    timeout: 60_000,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the probe does not compile: ${stderr}`);
  return program;
}

/** As the probe shows what it has read. */
export function digest(bytes: Uint8Array): string {
  return `${bytes.length} ${crc32(bytes).toString(16).padStart(8, '0')}`;
}

export class Probe implements AsyncDisposable {
  readonly #child;
  readonly #lines;

  private constructor(program: string) {
    this.#child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  static async start(program: string): Promise<Probe> {
    const probe = new Probe(program);
    await probe.#answer('start');
    return probe;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** One command of the probe. */
  ask(...words: readonly (string | number)[]): Promise<string> {
    this.#child.stdin.write(`${words.join('\t')}\n`);
    const answer = this.#answer(words.join(' '));
    // Whoever kills a probe that waits does not wait for its answer.
    answer.catch(() => undefined);
    return answer;
  }

  /** Any system call of numbers and strings: its result, or the name of an errno. */
  async sys(name: string, ...parameters: readonly (string | number | bigint)[]): Promise<number | string> {
    const words = parameters.map((value) => (typeof value === 'string' ? value : `=${value}`));
    const answer = await this.ask('sys', name, ...words);
    return /^-?\d+$/.test(answer) ? Number(answer) : answer;
  }

  /** A descriptor, or the name of an errno. */
  open(path: string, flags = 0, mode = 0): Promise<number | string> {
    return this.sys('openat', AT_FDCWD, path, flags, mode);
  }

  /** A descriptor, and nothing else will do. */
  async opened(path: string, flags = 0): Promise<number> {
    const descriptor = await this.open(path, flags);
    if (typeof descriptor === 'string')
      throw new assert.AssertionError({ message: `open ${path}: ${descriptor}` });
    return descriptor;
  }

  /** What it is blocked in, with the parameters; or that it is not. */
  systemCall(): string {
    return readFileSync(`/proc/${this.pid}/syscall`, 'utf8').trim();
  }

  /** Dies, even if it is in the middle of something. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit', { signal: AbortSignal.timeout(PATIENCE) });
    this.#child.kill(signal);
    await exited;
  }

  async #answer(command: string): Promise<string> {
    const late = sleep(PATIENCE, { done: true, value: 'too late' }, { ref: false });
    const { done, value } = await Promise.race([this.#lines.next(), late]);
    if (done === true || value === 'EIO') throw new Error(`${command}: ${value ?? 'the probe ended'}`);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
