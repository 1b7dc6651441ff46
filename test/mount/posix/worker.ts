// The serving thread of server.ts: serves the tree of the table until it is told to stop.
import { parentPort, workerData } from 'node:worker_threads';
import { serve } from '../../../fuse/engine/kernel.ts';
import type { Agreement } from '../../../fuse/negotiation.ts';
import { REPLY_BUFFER_BYTES } from '../../../fuse/reply.ts';
import { PosixTree } from '../../support/fuse-posix-tree.ts';

export interface WorkerInput {
  readonly device: number;
  readonly control: string;
  readonly counters: Int32Array;
  readonly stop: Int32Array;
  readonly agreement: Agreement | undefined;
  /** For recording-worker.ts: where to write what it keeps. */
  readonly record: string | undefined;
}

const { device, control, counters, stop, agreement } = workerData as WorkerInput;

serve({
  device,
  ...(agreement && { agreement }),
  tree: new PosixTree(control, counters),
  replyBuffer: new Uint8Array(new SharedArrayBuffer(REPLY_BUFFER_BYTES)),
  drain: () => undefined,
  stopped: () => Atomics.load(stop, 0) === 1,
  onReady: (agreed) => parentPort?.postMessage(agreed),
  onFault: (error) => {
    throw error;
  },
});
