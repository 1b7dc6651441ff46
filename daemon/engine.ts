// Puts the tree before the kernel: mounts, starts an engine, and implements what the core asks of whoever faces the
// kernel. Engine "kernel" serves from a worker thread; "fuse-native" serves from the main thread, for one workload.
import { mkdir } from 'node:fs/promises';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Clock } from '../client/clock.ts';
import { barrier } from '../fuse/barrier.ts';
import { mountNative } from '../fuse/engine/fuse-native.ts';
import { retire } from '../fuse/engine/retire.ts';
import { clearStale, mount } from '../fuse/mount.ts';
import { findMount } from '../fuse/mountinfo.ts';
import { Notifier } from '../fuse/notify.ts';
import { REPLY_BUFFER_BYTES } from '../fuse/reply.ts';
import type { Workload } from '../manifest/names.ts';
import type { Config } from './config.ts';
import { DaemonError } from './errors.ts';
import type { Invalidator, Server } from './invalidator.ts';
import type { Lease } from './lease.ts';
import type { Log } from './log.ts';
import type { ThreadData, ThreadReport } from './serving-thread.ts';
import { SecretFiles } from './tree/secret-file.ts';
import { SecretTree } from './tree/secret-tree.ts';
import type { Arena } from './vault/arena.ts';
import { VaultOpener } from './vault/opener.ts';
import type { SlotTable } from './vault/slot.ts';

const NAME = { fsname: 'lapse', subtype: 'lapse' } as const;
/** Milliseconds for mounting, for unmounting, and until a fresh server must be ready. */
const DEADLINE_MS = { mount: 5000, unmount: 1500, ready: 10_000 } as const;
/** How often it is looked whether the mount is still there, in milliseconds. */
const WATCH_MS = 500;

export interface EngineParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly memory: SharedArrayBuffer;
  readonly arena: Arena;
  readonly slots: SlotTable;
  readonly lease: Lease;
  /** A slot was decrypted. */
  readonly onOpened: (slot: number) => void;
  /** The server is gone without having been told to: the daemon cannot go on. */
  readonly onFailure: (error: unknown) => void;
  /** The entry of the serving thread. */
  readonly worker: URL;
}

/** @throws FuseError mount-in-use, mount-foreign, mount-failed, engine-unavailable; DaemonError worker-failed */
export async function startEngine(parts: EngineParts): Promise<Server> {
  const { config, clock } = parts;
  await mkdir(config.mount, { recursive: true, mode: 0o755 }).catch(ignoreDeadMount);
  await clearStale(config.mount, { subtype: NAME.subtype, signal: clock.deadline(DEADLINE_MS.mount) });
  return config.workload === undefined ? startKernel(parts) : startNative(parts, config.workload);
}

/** A crashed server's mount makes the directory itself unreadable; `clearStale` is about to take it away. */
function ignoreDeadMount(error: unknown): void {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOTCONN' && code !== 'EEXIST') throw error;
}

async function startKernel(parts: EngineParts): Promise<Server> {
  const { config, clock, memory, arena, slots, lease, log } = parts;
  const device = await mount({ directory: config.mount, ...NAME, signal: clock.deadline(DEADLINE_MS.mount) });
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const tables = new MessageChannel();
  const data: ThreadData = {
    device,
    arena: memory,
    slots: slots.shared,
    lease: lease.shared,
    stop: stop.buffer,
    reply: arena.allocate(REPLY_BUFFER_BYTES),
    tables: tables.port2,
  };
  const worker = new Worker(parts.worker, { workerData: data, transferList: [tables.port2] });
  const stopping = (): boolean => Atomics.load(stop, 0) !== 0;
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const ready = Promise.withResolvers<undefined>();
  const gone = (): void => {
    if (!stopping()) parts.onFailure(new DaemonError('worker-failed', 'the mount was taken away'));
  };
  worker.on('message', (report: ThreadReport) => {
    if (report.kind === 'ready') ready.resolve(undefined);
    else if (report.kind === 'opened') parts.onOpened(report.slot);
    else if (report.kind === 'fault')
      log.error(`a request was refused because of a fault: ${report.message}`);
    else gone();
  });
  worker.on('error', (cause) => {
    const failure = new DaemonError('worker-failed', 'the serving thread failed', { cause });
    ready.reject(failure);
    parts.onFailure(failure);
  });
  const close = (): Promise<void> =>
    retire({
      directory: config.mount,
      device,
      stop: () => Atomics.store(stop, 0, 1),
      ended,
      signal: clock.deadline(DEADLINE_MS.unmount),
    });
  // Mounted already, with a thread that may sit in a read: an ordinary error would hang, and leave the mount.
  await untilReady(ready.promise, clock).catch(parts.onFailure);
  // Detached while files are open, the file system lives on where no path leads, and the barrier would ask the
  // directory beneath.
  const watch = clock.every(WATCH_MS, () => {
    findMount(config.mount).then((found) => {
      if (found === undefined) gone();
    }, parts.onFailure);
  });
  return {
    async show(table) {
      tables.port1.postMessage(table);
      await barrier(config.mount);
    },
    invalidator: kernelInvalidator(new Notifier(device)),
    async close() {
      watch[Symbol.dispose]();
      await close();
      tables.port1.close();
    },
  };
}

async function untilReady(ready: Promise<undefined>, clock: Clock): Promise<void> {
  const given = new AbortController();
  const late = clock.sleep(DEADLINE_MS.ready, given.signal).then(() => {
    if (!given.signal.aborted)
      throw new DaemonError('worker-failed', 'the server did not become ready in time');
  });
  await Promise.race([ready, late]).finally(() => given.abort());
}

function kernelInvalidator(notifier: Notifier): Invalidator {
  return {
    pages: (node) => settled(notifier.invalidateInode(node)),
    name: (view, name) => settled(notifier.invalidateEntry(view, name)),
    removed: (view, node, name) => settled(notifier.deleteEntry(view, node, name)),
  };
}

/** Whether the kernel had anything to forget does not matter here. */
async function settled(forgotten: Promise<boolean>): Promise<void> {
  await forgotten;
}

/** Without invalidation: what is mapped stays readable until the process lets go. Said at start. */
async function startNative(parts: EngineParts, workload: Workload): Promise<Server> {
  const { config, clock, memory, slots, lease, log } = parts;
  const files = new SecretFiles(new VaultOpener(slots, memory, parts.onOpened), slots, lease);
  const tree = new SecretTree(() => workload, files);
  const native = await mountNative({
    directory: config.mount,
    ...NAME,
    tree,
    onFault: () => log.error('a request was refused because of a fault'),
  });
  log.warn(
    `engine fuse-native: every caller of ${config.mount} counts as ${workload}; mappings are not withdrawn`,
  );
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    show(table) {
      tree.show({ ...table, groups: new Map([...table.groups, ['mount:/', workload]]) });
      return Promise.resolve();
    },
    invalidator: { pages: nothing, name: nothing, removed: nothing },
    close: () => native.unmount(clock.deadline(DEADLINE_MS.unmount)),
  };
}
