// Serves like worker.ts, and keeps some of each kind of request that the kernel sends; written down when the mount is gone.
// For test/vectors/record-fuse-requests.ts.
import { writeFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { receive, send } from '../../../fuse/device.ts';
import { REPLY_BUFFER_BYTES } from '../../../fuse/reply.ts';
import { Session } from '../../../fuse/session.ts';
import { PosixTree } from '../../support/fuse-posix-tree.ts';
import type { WorkerInput } from './worker.ts';

/** Of each operation and length. */
const MOST = 2;

const { device, control, counters, record } = workerData as WorkerInput;
const kept = new Map<string, Set<string>>();
const requestBuffer = new Uint8Array(64 * 1024);
const replyBuffer = new Uint8Array(new SharedArrayBuffer(REPLY_BUFFER_BYTES));
const session = new Session({
  tree: new PosixTree(control, counters),
  requestBuffer,
  replyBuffer,
  send: (length) => send(device, replyBuffer, length),
  onFault: (error) => {
    throw error;
  },
});

function keep(request: Buffer): void {
  const kind = `${request.readUInt32LE(4)} ${request.length}`;
  const same = kept.get(kind) ?? new Set();
  kept.set(kind, same);
  if (same.size < MOST) same.add(request.toString('hex'));
}

let ready = false;
for (;;) {
  const length = receive(device, requestBuffer);
  if (length === 'unmounted') break;
  if (length === 'again') continue;
  keep(Buffer.from(requestBuffer.subarray(0, length)));
  session.handle(length);
  if (!ready) parentPort?.postMessage(session.agreement);
  ready = true;
}
writeFileSync(record!, [...kept.values()].flatMap((some) => [...some]).join('\n'));
