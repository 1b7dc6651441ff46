// Talks to a process of test/mount/lapsed-probe.c that runs in a control group of its own. An answer is what was
// read, or the name of an errno. Every answer must come in time, and none may be EIO: those two promises of the
// file system are thus part of every test.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Cgroup } from './lapsed-cgroup.ts';

const SOURCE = fileURLToPath(new URL('../mount/lapsed-probe.c', import.meta.url));
/** More than this is a hang, and not a busy machine. */
const PATIENCE = 15_000;

export async function compileProbe(directory: string): Promise<string> {
  const program = join(directory, 'probe');
  const flags = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror'];
  if (!existsSync(program)) await promisify(execFile)('gcc', [...flags, '-o', program, SOURCE]);
  return program;
}

export class Probe implements AsyncDisposable {
  readonly group: Cgroup;
  readonly #mount: string;
  readonly #child;
  readonly #lines;

  private constructor(program: string, group: Cgroup, mount: string) {
    this.group = group;
    this.#mount = mount;
    // In its group before it is the probe.
    const script = 'echo $$ >"$1" && exec "$2"';
    this.#child = spawn('sh', ['-c', script, 'sh', group.procs, program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid!;
  }

  static async start(program: string, group: Cgroup, mount: string): Promise<Probe> {
    const probe = new Probe(program, group, mount);
    await probe.#answer('start');
    return probe;
  }

  /** As /proc/PID/cgroup says it. */
  get cgroupText(): string {
    return readFileSync(`/proc/${this.pid}/cgroup`, 'utf8');
  }

  /** Opens, reads, closes. Paths are meant from the mount. */
  cat(path: string): Promise<string> {
    return this.#ask(`cat ${this.#at(path)}`);
  }

  /** A descriptor that stays open, or an errno. */
  open(path: string): Promise<string> {
    return this.#ask(`open ${this.#at(path)}`);
  }

  read(descriptor: string): Promise<string> {
    return this.#ask(`read ${descriptor}`);
  }

  /** Reads until that fails: why. It may take as long as the test; the probe takes no other command meanwhile. */
  loop(descriptor: string): Promise<string> {
    return this.#ask(`loop ${descriptor}`, 50_000).catch(String);
  }

  map(descriptor: string): Promise<string> {
    return this.#ask(`map ${descriptor}`);
  }

  /** Reads what is mapped. */
  touch(): Promise<string> {
    return this.#ask('touch');
  }

  /** Mode, size, uid and gid. */
  stat(path: string): Promise<string> {
    return this.#ask(`stat ${this.#at(path)}`);
  }

  fstat(descriptor: string): Promise<string> {
    return this.#ask(`fstat ${descriptor}`);
  }

  list(path: string): Promise<string> {
    return this.#ask(`list ${this.#at(path)}`);
  }

  link(path: string): Promise<string> {
    return this.#ask(`link ${this.#at(path)}`);
  }

  /** Opens for writing, or creates. */
  write(path: string): Promise<string> {
    return this.#ask(`write ${this.#at(path)}`);
  }

  /** Gives up root. */
  become(uid: number, gid: number): Promise<string> {
    return this.#ask(`become ${uid} ${gid}`);
  }

  move(group: Cgroup): Promise<string> {
    return this.#ask(`move ${group.procs}`);
  }

  /** Becomes a new program, which inherits what is open. */
  exec(): Promise<string> {
    return this.#ask('exec');
  }

  #at(path: string): string {
    return resolve(this.#mount, path);
  }

  #ask(command: string, patience = PATIENCE): Promise<string> {
    this.#child.stdin.write(`${command}\n`);
    return this.#answer(command, patience);
  }

  async #answer(command: string, patience = PATIENCE): Promise<string> {
    const late = sleep(patience, { done: true, value: 'too late' }, { ref: false });
    const { done, value } = await Promise.race([this.#lines.next(), late]);
    if (done === true || value === 'EIO') throw new Error(`${command}: ${value ?? 'the probe ended'}`);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
