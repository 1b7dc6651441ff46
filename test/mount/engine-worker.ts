// The serving thread of engine-server.ts: serves the static tree until told to stop.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { serve } from '../../fuse/engine/kernel.ts';
import { REPLY_BUFFER_BYTES } from '../../fuse/reply.ts';
import { StaticTree } from '../support/fuse-static-tree.ts';

export interface WorkerInput {
  readonly device: number;
  readonly port: MessagePort;
  readonly stop: Int32Array;
}

const { device, port, stop } = workerData as WorkerInput;
let denying = false;

const ending = serve({
  device,
  tree: new StaticTree(() => denying),
  replyBuffer: new Uint8Array(new SharedArrayBuffer(REPLY_BUFFER_BYTES)),
  drain: () => {
    for (let letter = receiveMessageOnPort(port); letter; letter = receiveMessageOnPort(port)) {
      denying = letter.message === 'deny';
    }
  },
  stopped: () => Atomics.load(stop, 0) === 1,
  onReady: () => port.postMessage('ready'),
  onFault: (error) => port.postMessage(String(error)),
});
parentPort?.postMessage(ending);
