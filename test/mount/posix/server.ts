// A server process for the table of behaviours: server.ts ENGINE DIRECTORY CONTROL [AGREEMENT]. The kernel engine serves
// descriptor 3, which the parent has mounted and keeps, so that the next server can go on (with the agreement that the
// first one told). It answers each command, and is killed when it is no longer needed. A fault of the tree ends it.
import { once } from 'node:events';
import { open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { mountNative } from '../../../fuse/engine/fuse-native.ts';
import type { Agreement } from '../../../fuse/negotiation.ts';
import { Notifier } from '../../../fuse/notify.ts';
import { COUNTERS, PosixTree, nodeAt } from '../../support/fuse-posix-tree.ts';
import type { WorkerInput } from './worker.ts';

export type Command =
  /** Handles that were not given back. */
  | { readonly do: 'handles' }
  /** Takes the pages and the name from the kernel; whether there was anything. */
  | { readonly do: 'withdraw'; readonly path: string }
  /** Through the mount, so that watchers hear of it: a file is touched, made, renamed and removed. */
  | { readonly do: 'announce' }
  /** Uses up that much memory for good. */
  | { readonly do: 'leak'; readonly bytes: number };

export type Greeting = Agreement | 'ready';

type Withdraw = (path: string) => Promise<boolean>;

const DEVICE = 3;
const counters = new Int32Array(new SharedArrayBuffer(4 * COUNTERS.length));
const leaked: Buffer[] = [];

async function startKernel(control: string, agreement?: Agreement): Promise<[Greeting, Withdraw]> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const record = process.env['LAPSE_RECORD_REQUESTS'];
  const program = record === undefined ? 'worker.ts' : 'recording-worker.ts';
  const workerData: WorkerInput = { device: DEVICE, control, counters, stop, agreement, record };
  const worker = new Worker(new URL(program, import.meta.url), { workerData });
  // Not by an exception: while the worker sits in its read, that would hang.
  worker.once('error', (error) => {
    process.stderr.write(`${String(error)}\n`);
    process.kill(process.pid, 'SIGKILL');
  });
  const [agreed] = (await once(worker, 'message')) as [Agreement];
  const notifier = new Notifier(DEVICE);
  if (agreement && !(await notifier.resend())) throw new Error('this kernel cannot send requests again');
  const withdraw: Withdraw = async (path) => {
    const { node, parent } = nodeAt(path);
    const pages = await notifier.invalidateInode(node);
    return (await notifier.deleteEntry(parent, node, path.split('/').at(-1)!)) || pages;
  };
  return [agreed, withdraw];
}

async function startNative(path: string, control: string): Promise<[Greeting, Withdraw]> {
  await mountNative({
    directory: path,
    fsname: 'posix-test',
    subtype: 'lapse',
    tree: new PosixTree(control, counters),
    onFault: (error) => {
      process.stderr.write(`${String(error)}\n`);
      process.kill(process.pid, 'SIGKILL');
    },
  });
  return ['ready', () => Promise.resolve(false)];
}

async function announce(mount: string): Promise<void> {
  const at = (name: string) => join(mount, 'changing', name);
  await (await open(at('901'), 'wx')).close();
  const file = await open(at('901'), 'r+');
  await file.truncate(0);
  await file.close();
  await rename(at('901'), at('902'));
  await unlink(at('902'));
}

const [engine, mount, control, agreement] = process.argv.slice(2);
if (mount === undefined || control === undefined)
  throw new Error('usage: server.ts kernel|fuse-native DIRECTORY CONTROL [AGREEMENT]');
const [greeting, withdraw] = await (engine === 'kernel'
  ? startKernel(control, agreement === undefined ? undefined : (JSON.parse(agreement) as Agreement))
  : startNative(mount, control));

async function obey(command: Command): Promise<unknown> {
  switch (command.do) {
    case 'handles':
      return Atomics.load(counters, COUNTERS.handles);
    case 'withdraw':
      return withdraw(command.path);
    case 'announce':
      return announce(mount!);
    case 'leak':
      return leaked.push(Buffer.alloc(command.bytes, 1));
  }
}

process.on('message', (command: Command) => {
  void obey(command).then(
    (result) => process.send?.({ result: result ?? null }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.send?.(greeting);
