// A thread of test/mount/permission-caller.c, which takes on credentials and says what the kernel lets it do; and the
// directory of nodes that it is asked about, on a tmpfs of its own. Every answer must come in time.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Attributes, Caller } from '../../fuse/tree.ts';

const SOURCE = fileURLToPath(new URL('../mount/permission-caller.c', import.meta.url));
const PATIENCE = 30_000;

export type Node = Pick<Attributes, 'kind' | 'mode' | 'uid' | 'gid'>;
export type Asking = Pick<Caller, 'tid' | 'uid' | 'gid'>;

/** The first id inside, the first outside, and how many. */
export type Extent = readonly [inside: number, outside: number, count: number];

export interface UserNamespace {
  readonly uids: readonly Extent[];
  readonly gids: readonly Extent[];
}

/** Ids as they are inside the user namespace, if there is one. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly effective: number;
  /** As effective, unless it says otherwise. */
  readonly permitted?: number;
  /** What it does as if it were another user and group. */
  readonly fs?: { readonly uid: number; readonly gid: number };
  readonly namespace?: UserNamespace;
}

/** The program, and nodes named 0, 1, 2 and so on. */
export class Bench implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'lapse-permission-'));
  readonly program = join(this.directory, 'caller');
  #count = 0;

  constructor(nodes: readonly Node[]) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'lapse-permission', this.directory]);
    try {
      const flags = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', '-pthread'];
      execFileSync('gcc', [...flags, '-o', this.program, SOURCE]);
      nodes.forEach((node) => this.add(node));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  add({ kind, mode, uid, gid }: Node): string {
    const name = String(this.#count++);
    const path = join(this.directory, name);
    if (kind === 'directory') mkdirSync(path);
    else writeFileSync(path, '');
    chownSync(path, uid, gid);
    chmodSync(path, mode);
    return name;
  }

  [Symbol.dispose](): void {
    execFileSync('umount', ['-l', this.directory]);
    rmSync(this.directory, { recursive: true });
  }
}

export class PermissionCaller implements AsyncDisposable {
  readonly #child;
  readonly #lines;
  readonly #credentials: Credentials;
  #tid = 0;

  private constructor(bench: Bench, credentials: Credentials) {
    this.#credentials = credentials;
    const parameters = [bench.directory, ...(credentials.namespace ? ['namespace'] : [])];
    this.#child = spawn(bench.program, parameters, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Its thread has these credentials and is blocked. */
  static async start(bench: Bench, credentials: Credentials): Promise<PermissionCaller> {
    const caller = new PermissionCaller(bench, credentials);
    try {
      await caller.#begin();
      await caller.#take(credentials);
    } catch (error) {
      await caller[Symbol.asyncDispose]();
      throw error;
    }
    return caller;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** As the header of its requests would say it: ids as they are outside. */
  get caller(): Asking {
    const { namespace, fs } = this.#credentials;
    const { uid, gid } = fs ?? this.#credentials;
    return { tid: this.#tid, uid: outside(namespace?.uids, uid), gid: outside(namespace?.gids, gid) };
  }

  async ask(command: string): Promise<string> {
    this.#child.stdin.write(`${command}\n`);
    return this.#answer(command);
  }

  async tell(command: string): Promise<void> {
    const answer = await this.ask(command);
    if (answer !== 'done') throw new Error(`${command.slice(0, 80)}: ${answer}`);
  }

  async #begin(): Promise<void> {
    const { namespace } = this.#credentials;
    if (namespace) {
      const answer = await this.#answer('unshare');
      if (answer !== 'done') throw new Error(`unshare: ${answer}`);
      writeFileSync(`/proc/${this.pid}/uid_map`, text(namespace.uids));
      writeFileSync(`/proc/${this.pid}/gid_map`, text(namespace.gids));
      this.#child.stdin.write('\n');
    }
    this.#tid = Number(await this.#answer('start'));
  }

  async #take({ uid, gid, groups, effective, permitted = effective, fs }: Credentials): Promise<void> {
    await this.tell(`groups ${groups.join(' ')}`);
    await this.tell(`gids ${gid} ${gid} ${gid}`);
    await this.tell(`uids ${uid} ${uid} ${uid}`);
    if (fs) await this.tell(`fsids ${fs.uid} ${fs.gid}`);
    await this.tell(`caps ${effective.toString(16)} ${permitted.toString(16)}`);
  }

  async #answer(command: string): Promise<string> {
    const late = sleep(PATIENCE, { done: true, value: 'too late' }, { ref: false });
    const { done, value } = await Promise.race([this.#lines.next(), late]);
    if (done === true) throw new Error(`${command.slice(0, 80)}: ${value ?? 'it ended'}`);
    return value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}

function text(extents: readonly Extent[]): string {
  return extents.map((extent) => `${extent.join(' ')}\n`).join('');
}

function outside(extents: readonly Extent[] | undefined, id: number): number {
  if (extents === undefined) return id;
  const extent = extents.find(([inside, , count]) => id >= inside && id < inside + count);
  if (extent === undefined) throw new RangeError(`${id} is not in the namespace`);
  return id - extent[0] + extent[1];
}
