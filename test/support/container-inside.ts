// A real container whose one process is the probe (test/mount/lapsed-probe.c): it does as it is told over stdin, so
// two containers can be asked within microseconds of each other. `sh` runs a script beside it, as any user. Every
// answer must come in time, and none may be EIO. How it is started is the runtime's part (container-runc.ts,
// container-podman.ts). Who starts one disposes it.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PROBE = fileURLToPath(new URL('../mount/lapsed-probe.c', import.meta.url));
/** For every answer, and for the end of a container. Its start, or a script in it, may take twice as long. */
const PATIENCE = 20_000;
const MOST_OUTPUT = 4 << 20;

/** As the container counts. */
export interface User {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary. */
  readonly groups?: readonly number[];
  /** Beyond what the container gives to this user. */
  readonly capabilities?: readonly string[];
}

export const ROOT: User = { uid: 0, gid: 0 };

export type Command = readonly [program: string, ...args: string[]];

/** How a runtime is told. */
export interface Runtime {
  readonly id: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly run: Command;
  readonly remove: Command;
  /** Runs the command that follows. */
  readonly exec: (user: User) => Command;
}

/** A bind mount, with all below it, and what is mounted there later. */
export interface Bind {
  readonly source: string;
  readonly destination: string;
  readonly options: readonly string[];
}

/** In a user namespace a bind must say what its source has, or the runtime cannot make it read-only. */
export function bind(source: string, destination: string): Bind {
  return { source, destination, options: [...SLAVE, 'nosuid', 'nodev', 'noexec'] };
}

const SLAVE = ['rbind', 'rslave', 'ro'];

export interface InsideOptions {
  /** The annotation; a container without one is not registered. */
  readonly workload?: string;
  /** A user namespace of its own: which ids of the host are 0 and the following ones in it. */
  readonly userNamespace?: { readonly uid: number; readonly gid: number; readonly count: number };
  /** The first process's, and root's. Otherwise none with runc, and podman's usual ones. */
  readonly capabilities?: readonly string[];
  readonly binds?: readonly Bind[];
}

let made = 0;

export function freshId(): string {
  made += 1;
  return `lapse-inside-${process.pid}-${made}`;
}

/** What busybox lacks. */
export const TOOLS: Bind = { source: '/usr', destination: '/usr', options: SLAVE };

/** busybox, the probe, and all that a runtime would make itself, if it could: in a user namespace it cannot. */
export async function makeRootfs(rootfs: string): Promise<void> {
  for (const directory of ['bin', 'proc', 'sys', 'dev', 'etc', 'tmp', 'run/lapse', 'run/secrets', 'usr']) {
    await mkdir(join(rootfs, directory), { recursive: true });
  }
  await copyFile('/bin/busybox', join(rootfs, 'bin/busybox'));
  for (const applet of ['sh', 'cat', 'ls', 'grep']) await symlink('busybox', join(rootfs, 'bin', applet));
  for (const directory of ['lib', 'lib64']) await symlink(`usr/${directory}`, join(rootfs, directory));
  for (const file of ['etc/hosts', 'etc/hostname', 'etc/resolv.conf', 'run/.containerenv']) {
    await writeFile(join(rootfs, file), '');
  }
  const flags = ['-std=gnu11', '-O1', '-static', '-Wall', '-Wextra', '-Werror'];
  await promisify(execFile)('gcc', [...flags, '-o', join(rootfs, 'bin/probe'), PROBE]);
}

export class Inside implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #child;
  readonly #ended;
  readonly #lines;
  #errors = '';

  private constructor(runtime: Runtime) {
    const [program, ...args] = runtime.run;
    this.#runtime = runtime;
    this.#child = spawn(program, args, { env: runtime.env });
    this.#ended = once(this.#child, 'close');
    this.#child.stderr.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()));
    // Nobody there to read a command: its answer will say so.
    this.#child.stdin.on('error', () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  static async start(runtime: Runtime): Promise<Inside> {
    const inside = new Inside(runtime);
    try {
      await inside.#answer('start', 2 * PATIENCE);
    } catch (error) {
      await inside[Symbol.asyncDispose]();
      throw error;
    }
    return inside;
  }

  get id(): string {
    return this.#runtime.id;
  }

  /** A command of the probe; the answer is what was asked for, or the name of an errno. */
  ask(verb: string, argument = ''): Promise<string> {
    this.#child.stdin.write(`${verb} ${argument}\n`);
    return this.#answer(`${verb} ${argument}`, PATIENCE);
  }

  /** What a script printed, errors included. */
  sh(script: string, user: User = ROOT): Promise<string> {
    const [program, ...args] = [...this.#runtime.exec(user), '/bin/sh', '-c', `${script}\n`] as const;
    return new Promise((resolve, reject) => {
      const options = { env: this.#runtime.env, timeout: 2 * PATIENCE, maxBuffer: MOST_OUTPUT };
      execFile(program, args, options, (error, stdout, stderr) => {
        if (error?.killed === true || /Input\/output error/.test(stderr))
          reject(new Error(`${script}: ${stderr}`));
        else resolve(stdout + stderr);
      });
    });
  }

  async #answer(command: string, patience: number): Promise<string> {
    const late = sleep(patience, { done: true, value: 'too late' }, { ref: false });
    const { done, value } = await Promise.race([this.#lines.next(), late]);
    if (done === true || value === 'EIO') {
      throw new Error(`${this.id}, ${command}: ${value ?? 'the probe ended'}. ${this.#errors}`);
    }
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const [program, ...args] = this.#runtime.remove;
    this.#child.stdin.end();
    spawnSync(program, args, { env: this.#runtime.env, timeout: 2 * PATIENCE });
    await Promise.race([this.#ended, sleep(PATIENCE, undefined, { ref: false })]);
    this.#child.kill('SIGKILL');
  }
}
