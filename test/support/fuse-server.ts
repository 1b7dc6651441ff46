// Starts test/mount/engine-server.ts in a process of its own, talks to it, and cleans up whatever happens: the tests
// may then touch the mount in any way without waiting for themselves.
import { fork, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseMountinfo } from '../../fuse/mountinfo.ts';
import type { Command } from '../mount/engine-server.ts';

const PATIENCE = 20_000;

/** A fresh directory to mount on; disposing of it detaches whatever is mounted there. */
export class Mountpoint implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'lapse-engine-'));

  mounts(): string[] {
    return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'))
      .filter(({ directory }) => directory === this.path)
      .map(({ type }) => type);
  }

  [Symbol.dispose](): void {
    while (this.mounts().length > 0) detach(this.path);
    rmSync(this.path, { recursive: true });
  }
}

function detach(path: string): void {
  const { status } = spawnSync('umount', ['-i', '-c', '-l', '--', path], { timeout: PATIENCE });
  if (status !== 0) throw new Error(`cannot clean up the mount on ${path}`);
}

export class ServerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly exited: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.exited = once(child, 'exit');
  }

  static async start(engine: 'kernel' | 'fuse-native', directory: string): Promise<ServerProcess> {
    const program = new URL('../mount/engine-server.ts', import.meta.url);
    const server = new ServerProcess(fork(program, [engine, directory], { execArgv: [] }));
    const failed = server.exited.then(() => {
      throw new Error(`the ${engine} server did not start`);
    });
    try {
      await Promise.race([once(server.#child, 'message', { signal: AbortSignal.timeout(PATIENCE) }), failed]);
      return server;
    } catch (error) {
      await server.kill();
      throw error;
    }
  }

  async send(command: Command): Promise<unknown> {
    const answered = once(this.#child, 'message', { signal: AbortSignal.timeout(PATIENCE) });
    this.#child.send(command);
    const [message] = (await answered) as [{ result: unknown }];
    return message.result;
  }

  /** It hangs when this resolves: until each of its threads stands still, one may take a request. */
  async pause(): Promise<void> {
    this.#child.kill('SIGSTOP');
    await untilStopped(this.#child.pid!);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** Until every thread of a process that was stopped stands still. */
export async function untilStopped(pid: number): Promise<void> {
  const tasks = `/proc/${pid}/task`;
  const stopped = (task: string) => /^State:\tT/m.test(readFileSync(join(tasks, task, 'status'), 'utf8'));
  const limit = performance.now() + PATIENCE;
  while (!readdirSync(tasks).every(stopped)) {
    if (performance.now() > limit) throw new Error(`${pid} does not stop`);
    await sleep(5);
  }
}

/** A program that talks in lines: it says one, and goes on when it is told to. */
export class Companion implements AsyncDisposable {
  readonly #child;
  readonly #lines;

  constructor(program: string, parameters: readonly string[]) {
    this.#child = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : value;
  }

  proceed(): void {
    this.#child.stdin.write('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
