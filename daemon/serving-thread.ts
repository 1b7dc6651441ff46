// The serving thread: a worker that sits in blocking reads on /dev/fuse. It shares the arena, the slots and the
// leases with the main thread, learns the table from messages, and never waits for an answer. It reports that it is
// ready, which slot it decrypted, and faults. The next server's waits until the one before has ended.
import { getPriority, setPriority } from 'node:os';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { systemClock } from '../client/clock.ts';
import { serve } from '../fuse/engine/kernel.ts';
import { ORDER } from './engine/order.ts';
import { DaemonError } from './errors.ts';
import { CgroupReader } from './identity/cgroup.ts';
import { findWorkload } from './identity/workloads.ts';
import { Leases } from './leases.ts';
import type { Agreement } from '../fuse/negotiation.ts';
import type { Shown } from './table.ts';
import { SecretFiles } from './tree/secret-file.ts';
import { SecretTree } from './tree/secret-tree.ts';
import type { Identify } from './tree/secret-tree.ts';
import { VaultOpener } from './vault/opener.ts';
import type { Decrypt } from './vault/opener.ts';
import type { Region } from './vault/arena.ts';
import { SlotTable } from './vault/slot.ts';

export interface ThreadData {
  readonly device: number;
  /** What an earlier server agreed on with the kernel. */
  readonly agreement?: Agreement;
  readonly arena: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
  readonly leases: SharedArrayBuffer;
  /** One Int32: 0 as long as the device is not to be read. */
  readonly go: SharedArrayBuffer;
  /** One Int32 of ORDER. */
  readonly order: SharedArrayBuffer;
  /** One Int32: how many tables the thread has taken; whoever waits for it is woken. */
  readonly taken: SharedArrayBuffer;
  /** Where replies are made: in the arena, since they hold plaintext. */
  readonly reply: Region;
  readonly tables: MessagePort;
}

export type ThreadReport =
  | { readonly kind: 'ready'; readonly agreement: Agreement }
  | { readonly kind: 'first'; readonly unique: bigint }
  | { readonly kind: 'opened'; readonly slot: number }
  | { readonly kind: 'fault'; readonly message: string }
  | { readonly kind: 'ended'; readonly reason: 'stopped' | 'unmounted' };

/** What the demo's sabotage may replace, to prove that its checks would notice. */
export interface ThreadParts {
  readonly identify?: Identify;
  readonly decrypt?: Decrypt;
}

export function identifyByCgroup(): Identify {
  const reader = new CgroupReader();
  return ({ tid }, groups) => {
    const cgroup = reader.read(tid);
    return cgroup === undefined ? undefined : findWorkload(groups, cgroup);
  };
}

/** @throws DaemonError worker-failed, if a drill wants that */
function isOver(orders: Int32Array): boolean {
  const order = Atomics.load(orders, 0);
  if (order === ORDER.fail) throw new DaemonError('worker-failed', 'a drill has struck the serving thread');
  // Nobody ever wakes it.
  if (order === ORDER.hang) Atomics.wait(orders, 0, ORDER.hang);
  return order !== ORDER.serve;
}

/**
 * Runs as those run whom it serves, so that the main thread goes first where the unit has given the process more: on a CPU
 * that is short, taking back does not wait behind giving out. Asked of itself, the kernel means this thread alone.
 */
function stepBack(): void {
  if (getPriority() < 0) setPriority(0);
}

function nextTable(tables: MessagePort): Shown | undefined {
  const next = receiveMessageOnPort(tables) as { readonly message: Shown } | undefined;
  return next?.message;
}

export function runServingThread(parts: ThreadParts = {}): void {
  const { device, agreement, arena, slots, leases, go, order, taken, reply, tables } =
    workerData as ThreadData;
  const report = (message: ThreadReport): void => parentPort?.postMessage(message);
  const table = new SlotTable(slots);
  const opener = new VaultOpener(table, arena, (slot) => report({ kind: 'opened', slot }), parts.decrypt);
  const clock = systemClock();
  const files = new SecretFiles(opener, new Leases(() => clock.boot(), leases));
  const tree = new SecretTree(parts.identify ?? identifyByCgroup(), files);
  stepBack();
  const orders = new Int32Array(order);
  const takenTables = new Int32Array(taken);
  Atomics.wait(new Int32Array(go), 0, 0);
  const reason = serve({
    device,
    ...(agreement && { agreement }),
    tree,
    replyBuffer: new Uint8Array(arena, reply.offset, reply.length),
    drain: () => {
      for (let next = nextTable(tables); next; next = nextTable(tables)) {
        tree.show(next);
        Atomics.add(takenTables, 0, 1);
        Atomics.notify(takenTables, 0);
      }
    },
    stopped: () => isOver(orders),
    onReady: (agreed) => report({ kind: 'ready', agreement: agreed }),
    onFirst: (unique) => report({ kind: 'first', unique }),
    onFault: (error) =>
      report({ kind: 'fault', message: error instanceof Error ? error.message : 'unknown' }),
  });
  tables.close();
  report({ kind: 'ended', reason });
}
