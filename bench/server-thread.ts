// A serving thread of server.ts, which does per request what a thread of the daemon does: looks for mail, and at the
// flag that stops it. Counting happens below the engine, where requests arrive: it sees each one, known or not.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import type { Agreement } from '../fuse/negotiation.ts';
import { REPLY_BUFFER_BYTES } from '../fuse/reply.ts';
import { StaticTree } from './static-tree.ts';

export interface ThreadData {
  readonly device: number;
  readonly lasting: boolean;
  readonly count: boolean;
  readonly agreement: Agreement | undefined;
  readonly port: MessagePort;
}

export interface ThreadEnd {
  /** By opcode; empty unless it counted. */
  readonly counts: Readonly<Record<number, number>>;
}

const OPCODE_AT = 4;

function countRequests(device: number): Record<number, number> {
  const counts: Record<number, number> = {};
  const original = fs.readSync;
  const counting = (fd: number, into: Uint8Array, from: number, length: number, at: null): number => {
    const bytes = original(fd, into, from, length, at);
    if (fd !== device || bytes === 0) return bytes;
    const opcode = new DataView(into.buffer, into.byteOffset).getUint32(OPCODE_AT, true);
    counts[opcode] = (counts[opcode] ?? 0) + 1;
    return bytes;
  };
  Object.assign(fs, { readSync: counting });
  syncBuiltinESMExports();
  return counts;
}

const { device, lasting, count, agreement, port } = workerData as ThreadData;
const counts = count ? countRequests(device) : {};
// Not earlier, or it would have the uncounted readSync.
const { serve } = await import('../fuse/engine/kernel.ts');
const stop = new Int32Array(new SharedArrayBuffer(4));

serve({
  device,
  ...(agreement && { agreement }),
  tree: new StaticTree(lasting),
  replyBuffer: new Uint8Array(new SharedArrayBuffer(REPLY_BUFFER_BYTES)),
  drain: () => void receiveMessageOnPort(port),
  stopped: () => Atomics.load(stop, 0) !== 0,
  onReady: (agreed) => port.postMessage(agreed),
  onFault: (error) => process.stderr.write(`${String(error)}\n`),
});
parentPort?.postMessage({ counts } satisfies ThreadEnd);
port.close();
