// A C program in a control group of its own, registered as a workload of a running lapsed, as the OCI hook does it. The
// caller disposes of it before the host: that ends the process and takes its group away. What it was told is not
// unregistered: lapsed ends after it.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../client/clock.ts';
import { callControl } from '../daemon/control/client.ts';
import { Cgroup } from '../test/support/lapsed-cgroup.ts';

const FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror'];

const clock = systemClock();

/** Compiled into out/bin/ when it is older than its source. */
export function compileGuest(source: URL): string {
  const from = fileURLToPath(source);
  const directory = fileURLToPath(new URL('../out/bin/', import.meta.url));
  const program = `${directory}guest-${basename(from, '.c')}`;
  mkdirSync(directory, { recursive: true });
  const modified = statSync(program, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (modified <= statSync(from).mtimeMs) execFileSync('gcc', [...FLAGS, '-o', program, from]);
  return program;
}

export class Guest implements AsyncDisposable {
  readonly workload: string;
  readonly #group = Cgroup.make();
  readonly #child;
  readonly #ended: Promise<unknown>;

  constructor(workload: string, command: readonly string[]) {
    this.workload = workload;
    // In its group before it is the program.
    const script = 'echo $$ >"$0" && exec "$@"';
    this.#child = spawn('sh', ['-c', script, this.#group.procs, ...command], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#ended = once(this.#child, 'exit');
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get stdin(): Writable {
    return this.#child.stdin;
  }

  get stdout(): Readable {
    return this.#child.stdout;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get ended(): Promise<unknown> {
    return this.#ended;
  }

  /** Only when it is the program already: before, it may not be in its group. */
  async register(socket: string): Promise<void> {
    const cgroup = readFileSync(`/proc/${this.pid}/cgroup`, 'utf8');
    await control(socket, 'POST', '/v1/workloads', {
      id: this.#group.name,
      workload: this.workload,
      cgroup,
    });
  }

  async unregister(socket: string): Promise<void> {
    await control(socket, 'DELETE', `/v1/workloads/${this.#group.name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) {
      this.#child.kill('SIGKILL');
      await this.#ended;
    }
    await this.#group[Symbol.asyncDispose]();
  }
}

async function control(to: string, method: 'POST' | 'DELETE', path: string, body?: object): Promise<void> {
  const answer = await callControl({ to, method, path, ...(body && { body }) }, clock);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.body}`);
}
