// A real runc container on a busybox root file system, registered with lapsed by the real OCI hook. Its one process
// is the reader; the records that it writes are what the demo measures.
import { execFile, spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Clock } from '../client/clock.ts';
import { WORKLOAD_ANNOTATION } from '../daemon/hook/state.ts';
import type { Places } from './programs.ts';
import { parseRecords } from './records.ts';
import type { ReadRecord } from './records.ts';

const run = promisify(execFile);
const READER = fileURLToPath(new URL('../out/bin/reader', import.meta.url));
const HOOK = fileURLToPath(new URL('../bin/lapse-oci-hook', import.meta.url));

export interface ContainerOptions {
  readonly id: string;
  /** The annotation; a container without one is not registered. */
  readonly workload?: string;
  readonly command: readonly string[];
}

/** The part of an OCI runtime configuration that is changed here. */
interface RuntimeConfig {
  process: { terminal: boolean; args: readonly string[] };
  root: { path: string; readonly: boolean };
  mounts: object[];
  annotations?: Record<string, string>;
  hooks?: Record<string, object[]>;
  linux: { cgroupsPath?: string };
}

export class Container {
  readonly id: string;
  readonly #root: string;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #ended: Promise<unknown>;
  readonly #chunks: Buffer[] = [];
  readonly #errors: Buffer[] = [];
  readonly #clock: Clock;
  readonly #records: ReadRecord[] = [];
  #taken = 0;
  #unparsed: Buffer = Buffer.alloc(0);

  private constructor(id: string, root: string, bundle: string, clock: Clock) {
    this.id = id;
    this.#root = root;
    this.#clock = clock;
    this.#child = spawn('runc', ['--root', root, 'run', '--bundle', bundle, id], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    this.#child.stderr.on('data', (chunk: Buffer) => this.#errors.push(chunk));
    this.#ended = once(this.#child, 'close');
  }

  static async start(places: Places, clock: Clock, options: ContainerOptions): Promise<Container> {
    const bundle = join(places.work, 'containers', options.id);
    await makeBundle(bundle, places, options);
    return new Container(options.id, join(places.work, 'runc'), bundle, clock);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get output(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get errors(): string {
    return Buffer.concat(this.#errors).toString();
  }

  /** Everything that the reader has reported so far. Parsed once, so that looking often costs the reader nothing. */
  records(): readonly ReadRecord[] {
    const bytes = Buffer.concat([this.#unparsed, ...this.#chunks.slice(this.#taken)]);
    const { records, rest } = parseRecords(bytes);
    this.#taken = this.#chunks.length;
    this.#unparsed = rest;
    this.#records.push(...records);
    return this.#records;
  }

  /** Waits for a record that fits; fails after `ms`, or when the container ended. */
  async seen(what: string, fits: (record: ReadRecord) => boolean, ms = 10_000): Promise<ReadRecord> {
    const deadline = this.#clock.boot() + ms;
    for (let looked = 0; this.running && this.#clock.boot() < deadline; looked = this.#records.length) {
      const found = this.records().slice(looked).find(fits);
      if (found) return found;
      await this.#clock.sleep(20);
    }
    throw new Error(`container ${this.id} did not see ${what}. ${this.errors}`);
  }

  /** Until it has ended by itself; its exit code. */
  async ended(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }

  async stop(): Promise<void> {
    if (this.running) {
      await run('runc', ['--root', this.#root, 'kill', this.id, 'TERM']).catch(() => undefined);
      await Promise.race([this.#ended, this.#clock.sleep(3000)]);
    }
    await run('runc', ['--root', this.#root, 'delete', '--force', this.id]).catch(() => undefined);
    if (this.running) this.#child.kill('SIGKILL');
  }
}

async function makeBundle(bundle: string, places: Places, options: ContainerOptions): Promise<void> {
  const rootfs = join(bundle, 'rootfs');
  for (const directory of ['bin', 'proc', 'sys', 'dev', 'run/lapse']) {
    await mkdir(join(rootfs, directory), { recursive: true });
  }
  await copyFile('/bin/busybox', join(rootfs, 'bin/busybox'));
  await copyFile(READER, join(rootfs, 'bin/reader'));
  for (const applet of ['sh', 'cat', 'ls', 'sleep', 'stat', 'id'])
    await symlink('busybox', join(rootfs, 'bin', applet));
  await run('runc', ['spec', '--bundle', bundle]);
  const file = join(bundle, 'config.json');
  const config = JSON.parse(await readFile(file, 'utf8')) as RuntimeConfig;
  await writeFile(file, JSON.stringify(configure(config, places, options), null, 2));
}

function configure(
  config: RuntimeConfig,
  places: Places,
  { id, workload, command }: ContainerOptions,
): RuntimeConfig {
  const hook = (stage: string): object => ({
    path: HOOK,
    args: ['lapse-oci-hook', stage, '--socket', places.control],
    env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
    timeout: 10,
  });
  // The parent of the mount, as a slave: a mount that lapsed makes later appears in running containers.
  const bind = {
    destination: '/run/lapse',
    type: 'bind',
    source: places.shared,
    options: ['rbind', 'rslave', 'ro'],
  };
  return {
    ...config,
    process: { ...config.process, terminal: false, args: command },
    root: { path: 'rootfs', readonly: true },
    mounts: [...config.mounts, bind],
    annotations: workload === undefined ? {} : { [WORKLOAD_ANNOTATION]: workload },
    hooks: { createRuntime: [hook('create')], poststop: [hook('delete')] },
    linux: { ...config.linux, cgroupsPath: `/${id}` },
  };
}
