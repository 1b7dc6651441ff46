// A process of test/mount/lapsed-restless.c: it reads without a pause in the control group of a workload, and says each
// change of what it sees. Times are nanoseconds of CLOCK_MONOTONIC, as `process.hrtime.bigint()` gives them.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Cgroup } from './lapsed-cgroup.ts';
import { until } from './lapsed.ts';

const SOURCE = fileURLToPath(new URL('../mount/lapsed-restless.c', import.meta.url));

export const KINDS = ['name', 'held', 'mapped', 'around'] as const;
export type Kind = (typeof KINDS)[number];

/** What it saw from then on. */
export interface Change {
  /** When the first attempt that ended so began, and when it ended. */
  readonly begin: bigint;
  readonly end: bigint;
  /** `ok`, `WRONG`, `SIGBUS`, or the name of an errno. */
  readonly state: string;
}

export interface Summary {
  /** How often each state was seen. */
  readonly counts: Readonly<Record<string, number>>;
  /** When the last attempt with each state began. */
  readonly last: Readonly<Record<string, bigint>>;
  readonly longestMs: number;
}

export interface Target {
  readonly directory: string;
  readonly name: string;
  readonly value: string;
}

export async function compileRestless(directory: string): Promise<string> {
  const program = join(directory, 'restless');
  const flags = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror'];
  await promisify(execFile)('gcc', [...flags, '-o', program, SOURCE]);
  return program;
}

export class Restless implements AsyncDisposable {
  readonly kind: Kind;
  readonly changes: Change[] = [];
  readonly #child;
  readonly #closed: Promise<unknown>;
  readonly #counts: Record<string, number> = {};
  readonly #last: Record<string, bigint> = {};
  #longestMs: number | undefined;

  private constructor(program: string, group: Cgroup, kind: Kind, target: Target) {
    this.kind = kind;
    const script = 'echo $$ >"$1" && shift && exec "$@"';
    const words = [program, kind, target.directory, target.name, target.value];
    this.#child = spawn('sh', ['-c', script, 'sh', group.procs, ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#closed = once(this.#child, 'close');
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(line));
  }

  /** Resolves when its first attempt has ended. */
  static async start(program: string, group: Cgroup, kind: Kind, target: Target): Promise<Restless> {
    const reader = new Restless(program, group, kind, target);
    try {
      await reader.sees('anything', () => true);
    } catch (error) {
      await reader[Symbol.asyncDispose]();
      throw error;
    }
    return reader;
  }

  get state(): string | undefined {
    return this.changes.at(-1)?.state;
  }

  /** Waits for a change that fits; `what` says which. */
  async sees(what: string, fits: (change: Change) => boolean, ms = 20_000): Promise<Change> {
    try {
      return await until(what, () => Promise.resolve(this.changes.find(fits)), ms);
    } catch (cause) {
      const seen = this.changes.map(({ state }) => state).join(' ');
      throw new Error(`${this.kind} did not see: ${what}; it saw: ${seen}`, { cause });
    }
  }

  /** Ends it in order. */
  async finish(): Promise<Summary> {
    this.#child.kill('SIGTERM');
    const longestMs = await until(`end of ${this.kind}`, () => Promise.resolve(this.#longestMs), 20_000);
    return { counts: this.#counts, last: this.#last, longestMs };
  }

  #take(line: string): void {
    const [first = '', second = '', third = '', fourth = ''] = line.split(' ');
    if (first === 'longest') this.#longestMs = Number(second) / 1e6;
    else if (first === 'total') {
      this.#counts[second] = Number(third);
      this.#last[second] = BigInt(fourth);
    } else this.changes.push({ begin: BigInt(first), end: BigInt(second), state: third });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }
}
