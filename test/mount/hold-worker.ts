// The serving thread of hold-server.ts: waits until it may go, and serves until told to stop.
import { parentPort, workerData } from 'node:worker_threads';
import { serve } from '../../fuse/engine/kernel.ts';
import type { Agreement } from '../../fuse/negotiation.ts';
import { REPLY_BUFFER_BYTES } from '../../fuse/reply.ts';
import { HoldTree } from '../support/fuse-hold-tree.ts';

export interface WorkerInput {
  readonly device: number;
  readonly control: string;
  readonly agreement: Agreement | undefined;
  /** After a crash. */
  readonly resumed: boolean;
  /** Go, stop. */
  readonly flags: Int32Array;
}

export type WorkerReport =
  | { readonly loaded: true }
  | { readonly agreement: Agreement }
  | { readonly first: bigint }
  | { readonly fault: string }
  | { readonly stopped: true };

const { device, control, agreement, resumed, flags } = workerData as WorkerInput;
const report = (message: WorkerReport): void => parentPort?.postMessage(message);

report({ loaded: true });
Atomics.wait(flags, 0, 0);
serve({
  device,
  ...(agreement && { agreement }),
  tree: new HoldTree(control, resumed),
  replyBuffer: new Uint8Array(new SharedArrayBuffer(REPLY_BUFFER_BYTES)),
  drain: () => undefined,
  stopped: () => Atomics.load(flags, 1) === 1,
  onReady: (agreed) => report({ agreement: agreed }),
  onFirst: (first) => report({ first }),
  onFault: (error) => report({ fault: String(error) }),
});
report({ stopped: true });
