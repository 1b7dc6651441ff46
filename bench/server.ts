// What `bench -- read` measures of ours, as a process of its own: serves the bench's tree until the mount is gone.
//   server.ts kernel OPTIONS          on descriptor 3, which is mounted already; OPTIONS is JSON (ServerOptions)
//   server.ts fuse-native DIRECTORY   mounts by itself
// Prints `ready` when the mountpoint may be touched and, where it counts, at the end a line of JSON: how many requests of
// each opcode came.
import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import { mountNative } from '../fuse/engine/fuse-native.ts';
import type { Agreement } from '../fuse/negotiation.ts';
import type { ThreadData, ThreadEnd } from './server-thread.ts';
import { StaticTree } from './static-tree.ts';

export interface ServerOptions {
  /** Whether the kernel may keep names and attributes. */
  readonly lasting: boolean;
  /** How many threads serve the one descriptor. */
  readonly threads: number;
  readonly count: boolean;
}

const DEVICE = 3;

async function serveKernel({ lasting, threads, count }: ServerOptions): Promise<void> {
  const ends: Promise<ThreadEnd>[] = [];
  let agreement: Agreement | undefined;
  while (ends.length < threads) {
    const { port1, port2 } = new MessageChannel();
    const workerData: ThreadData = { device: DEVICE, lasting, count, agreement, port: port2 };
    const worker = new Worker(new URL('server-thread.ts', import.meta.url), {
      workerData,
      transferList: [port2],
    });
    ends.push(once(worker, 'message').then(([end]) => end as ThreadEnd));
    // The first thread answers INIT, the others go on with what it agreed on.
    [agreement] = (await once(port1, 'message')) as [Agreement];
  }
  say('ready');
  const total: Record<string, number> = {};
  for (const { counts } of await Promise.all(ends)) {
    for (const [opcode, times] of Object.entries(counts)) total[opcode] = (total[opcode] ?? 0) + times;
  }
  say(JSON.stringify(total));
  process.exit(0);
}

async function serveNative(directory: string): Promise<void> {
  await mountNative({
    directory,
    fsname: 'bench',
    subtype: 'lapse-bench',
    tree: new StaticTree(false),
    onFault: (error) => process.stderr.write(`${String(error)}\n`),
  });
  say('ready');
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const [engine, parameter = ''] = process.argv.slice(2);
if (engine === 'kernel') await serveKernel(JSON.parse(parameter) as ServerOptions);
else await serveNative(parameter);
