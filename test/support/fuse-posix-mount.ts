// What a row of the table of behaviours is given: a mount that an engine serves in a process of its own, the switches of
// the tree, and probes. For the kernel engine this process keeps the device, as a holder would, so a server can be
// killed and followed by the next. Disposing of it ends every process and mount that it brought.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDevice } from '../../fuse/device.ts';
import { attach, publish } from '../../fuse/mount.ts';
import type { Command, Greeting } from '../mount/posix/server.ts';
import { Probe } from './fuse-posix-probe.ts';
import { Mountpoint, untilStopped } from './fuse-server.ts';

export type Engine = 'kernel' | 'fuse-native';

const PATIENCE = 20_000;
const PROGRAM = new URL('../mount/posix/server.ts', import.meta.url);
const deadline = () => AbortSignal.timeout(PATIENCE);

/** Polls, for as long as anything may take. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const limit = performance.now() + PATIENCE;
  while (!(await holds())) {
    if (performance.now() > limit) throw new Error(`it never came true: ${String(holds)}`);
    await sleep(5);
  }
}

export interface MountOptions {
  readonly engine: Engine;
  /** The compiled probe. */
  readonly probe: string;
}

export class PosixMount implements AsyncDisposable {
  readonly engine: Engine;
  readonly #program: string;
  readonly #points = new DisposableStack();
  readonly #private: Mountpoint;
  readonly #public: Mountpoint | undefined;
  readonly #control = mkdtempSync(join(tmpdir(), 'lapse-posix-'));
  readonly #probes: Probe[] = [];
  #device: number | undefined;
  #server: ChildProcess | undefined;
  /** It is meant to end. */
  #doomed: ChildProcess | undefined;
  #greeting: Greeting | undefined;

  private constructor({ engine, probe }: MountOptions) {
    this.engine = engine;
    this.#program = probe;
    this.#private = this.#points.use(new Mountpoint());
    this.#public = engine === 'kernel' ? this.#points.use(new Mountpoint()) : undefined;
    this.#points.defer(() => rmSync(this.#control, { recursive: true }));
    this.reset();
  }

  static async start(options: MountOptions): Promise<PosixMount> {
    const mount = new PosixMount(options);
    try {
      const directory = mount.#private.path;
      if (options.engine === 'kernel') {
        mount.#device = openDevice();
        const names = { directory, fsname: 'posix-test', subtype: 'lapse' };
        await attach(mount.#device, { ...names, readOnly: false, signal: deadline() });
      }
      await mount.serve();
      if (mount.#public) await publish({ from: directory, to: mount.#public.path, signal: deadline() });
      return mount;
    } catch (error) {
      await mount[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where nothing but the engine keeps anybody from writing, if the engine can be mounted so. */
  at(...names: readonly string[]): string {
    return join(this.#private.path, ...names);
  }

  /** That, and what is shown to others: the kernel itself refuses to write there. */
  get places(): readonly string[] {
    return [this.#private.path, ...(this.#public ? [this.#public.path] : [])];
  }

  async probe(): Promise<Probe> {
    const probe = await Probe.start(this.#program);
    this.#probes.push(probe);
    return probe;
  }

  /** Starts a server, the first or the next. */
  async serve(): Promise<void> {
    const agreement = typeof this.#greeting === 'object' ? [JSON.stringify(this.#greeting)] : [];
    const server = fork(PROGRAM, [this.engine, this.#private.path, this.#control, ...agreement], {
      execArgv: [],
      stdio: ['ignore', 'inherit', 'pipe', this.#device ?? 'ignore', 'ipc'],
    });
    this.#server = server;
    let said = '';
    server.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2000)));
    const died = once(server, 'exit').then(() => {
      if (server === this.#doomed) return [];
      // Nobody will go on: whoever waits shall not wait for long.
      this.letGo();
      throw new Error(`the ${this.engine} server ended: ${said}`);
    });
    const [greeting] = (await Promise.race([once(server, 'message', { signal: deadline() }), died])) as [
      Greeting,
    ];
    this.#greeting = greeting;
    died.catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
  }

  async send(command: Command): Promise<unknown> {
    const answered = once(this.#server!, 'message', { signal: deadline() });
    this.#server!.send(command);
    const [answer] = (await answered) as [{ result: unknown } | { error: string }];
    if ('error' in answer) throw new Error(answer.error);
    return answer.result;
  }

  get server(): number {
    return this.#server!.pid!;
  }

  get alive(): boolean {
    return this.#server?.exitCode === null && this.#server.signalCode === null;
  }

  /** Until every thread of the server stands still: before that, one may still take a request. */
  async pause(): Promise<void> {
    this.#server!.kill('SIGSTOP');
    await untilStopped(this.server);
  }

  proceed(): void {
    this.#server!.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (!this.alive) return;
    const exited = once(this.#server!, 'exit', { signal: deadline() });
    this.#doomed = this.#server;
    this.#server!.kill('SIGKILL');
    await exited;
  }

  /** What a holder does at its end: nobody can go on. */
  letGo(): void {
    if (this.#device !== undefined) closeSync(this.#device);
    this.#device = undefined;
  }

  /** Refuses the node of this name, wherever it is. */
  deny(name: string): void {
    writeFileSync(join(this.#control, 'denied', name), '');
  }

  setChanging(names: readonly number[]): void {
    const directory = join(this.#control, 'changing');
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
    for (const name of names) writeFileSync(join(directory, String(name)), '');
  }

  /** While it is shut, whoever reads `gate` waits, and the server with it. */
  shutGate(shut: boolean): void {
    const file = join(this.#control, 'shut');
    if (shut) writeFileSync(file, '');
    else rmSync(file, { force: true });
    rmSync(join(this.#control, 'waiting'), { force: true });
  }

  /** Until the server is inside a read of `gate`. */
  isWaitingAtGate(): Promise<void> {
    return until(() => existsSync(join(this.#control, 'waiting')));
  }

  /** The count of open handles once it is as expected, or what it stays at: closing is told to a server later. */
  async handlesSettle(expected: number): Promise<number> {
    let handles = NaN;
    const limit = performance.now() + PATIENCE;
    while (handles !== expected && performance.now() < limit)
      handles = Number(await this.send({ do: 'handles' }));
    return handles;
  }

  residentBytes(): number {
    const status = readFileSync(`/proc/${this.server}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
  }

  descriptors(): number {
    return readdirSync(`/proc/${this.server}/fd`).length;
  }

  /** Ends the probes and takes every switch back, so that the next row finds what this one found. */
  async tidy(): Promise<void> {
    for (const probe of this.#probes.splice(0)) await probe.kill();
    this.reset();
  }

  reset(): void {
    const denied = join(this.#control, 'denied');
    rmSync(denied, { recursive: true, force: true });
    mkdirSync(denied);
    this.setChanging([]);
    this.shutGate(false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.shutGate(false);
    // In this order: a probe that waits for the server can only die when the server answers, or nobody can.
    await this.kill();
    this.letGo();
    for (const probe of this.#probes.splice(0)) await probe.kill();
    this.#points.dispose();
  }
}
