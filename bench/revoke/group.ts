// A program and the processes that it started itself, which end together. It stays in the session of the bench: where
// the kernel shares time out by session, a session of its own would favour it. Its output is in a log file. The caller
// disposes of it.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { on } from '../../demo/cpus.ts';
import type { Places } from '../../demo/programs.ts';

export class Group implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor({ logs }: Places, name: string, cpus: string, command: readonly string[]) {
    const log = openSync(join(logs, `${name}.log`), 'a', 0o600);
    const [program, ...parameters] = on(cpus, command);
    this.#child = spawn(program, parameters, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#ended = once(this.#child, 'exit');
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Nothing is left to put away: what it wrote goes with the directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.running) return;
    // Whoever stands still starts no others meanwhile.
    this.#child.kill('SIGSTOP');
    const children = childrenOf(this.#child.pid);
    this.#child.kill('SIGKILL');
    children.forEach(kill);
    await this.#ended;
  }
}

function childrenOf(pid: number | undefined): readonly number[] {
  const text = pid === undefined ? '' : readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
  return text.split(' ').filter(Boolean).map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
