// Starts what is measured, each as a process of its own on the CPUs it is given, and takes it down again whatever
// happens. libfuse's server and ours get the same mount, made by our own code, so they differ in nothing but who serves.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { mount, unmount } from '../fuse/mount.ts';
import { OPCODE } from '../fuse/wire.ts';
import { Mountpoint } from '../test/support/fuse-server.ts';
import { compileReference } from './compile.ts';
import { ahead } from './cpu.ts';
import type { ServerOptions } from './server.ts';

const PATIENCE_MS = 15_000;
const SERVER = fileURLToPath(new URL('server.ts', import.meta.url));
const NAMES = new Map<number, string>(Object.entries(OPCODE).map(([name, opcode]) => [opcode, name]));

export interface SubjectOptions extends Partial<ServerOptions> {
  readonly engine: 'libfuse3' | 'lapse' | 'fuseNative';
  /** In the form of taskset's --cpu-list. */
  readonly cpus: string;
}

/** How many requests came, by the opcode's name. */
export type Counts = Readonly<Record<string, number>>;

export class Subject implements AsyncDisposable {
  readonly #mountpoint: Mountpoint;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #lines: AsyncIterator<string>;

  static async start(options: SubjectOptions): Promise<Subject> {
    const mountpoint = new Mountpoint();
    try {
      const subject = new Subject(mountpoint, await launch(mountpoint.path, options));
      if ((await subject.#line()) === 'ready') return subject;
      await subject.#kill();
      throw new Error(`the server ${options.engine} did not start`);
    } catch (error) {
      mountpoint[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(mountpoint: Mountpoint, child: ChildProcess) {
    this.#mountpoint = mountpoint;
    this.#child = child;
    this.#exited = once(child, 'exit');
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  path(name: string): string {
    return join(this.#mountpoint.path, name);
  }

  /** Takes the mount away, upon which the server says what it counted. */
  async counts(): Promise<Counts> {
    await unmount(this.#mountpoint.path, AbortSignal.timeout(PATIENCE_MS));
    const counts = JSON.parse((await this.#line()) ?? '{}') as Record<string, number>;
    if (Object.keys(counts).length === 0) throw new Error('a server counted nothing');
    return Object.fromEntries(Object.entries(counts).map(([opcode, times]) => [nameOf(opcode), times]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kill();
    this.#mountpoint[Symbol.dispose]();
  }

  async #kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** The next line that it says; undefined when it ended, or says nothing. */
  async #line(): Promise<string | undefined> {
    const patience = new AbortController();
    const silence = wait(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined);
    const next = this.#lines.next().then(({ value, done }) => (done === true ? undefined : value));
    const line = await Promise.race([next, silence]);
    patience.abort();
    return line;
  }
}

async function launch(
  directory: string,
  { engine, cpus, ...options }: SubjectOptions,
): Promise<ChildProcess> {
  const server: ServerOptions = { lasting: false, threads: 1, count: false, ...options };
  const ours = [process.execPath, SERVER];
  switch (engine) {
    case 'libfuse3':
      return launchMounted(directory, cpus, [compileReference(), '/dev/fd/3']);
    case 'lapse':
      return launchMounted(directory, cpus, [...ours, 'kernel', JSON.stringify(server)]);
    case 'fuseNative':
      return start(cpus, [...ours, 'fuse-native', directory], 'ignore');
  }
}

async function launchMounted(
  directory: string,
  cpus: string,
  command: readonly string[],
): Promise<ChildProcess> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const device = await mount({ directory, fsname: 'bench', subtype: 'lapse-bench', signal });
  try {
    return start(cpus, command, device);
  } finally {
    closeSync(device);
  }
}

function start(cpus: string, command: readonly string[], device: number | 'ignore'): ChildProcess {
  const [program, ...parameters] = ahead(cpus, command);
  return spawn(program, parameters, { stdio: ['ignore', 'pipe', 'inherit', device] });
}

function nameOf(opcode: string): string {
  return NAMES.get(Number(opcode)) ?? `opcode ${opcode}`;
}
