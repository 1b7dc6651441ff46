// Puts the tree before the kernel: starts an engine, which implements what the core asks of whoever faces the kernel.
// Engine "kernel" serves from a worker thread, under a holder; "fuse-native" from the main thread, for one workload.
import type { Clock } from '../../client/clock.ts';
import type { Held } from '../../fuse/hold/held.ts';
import type { Config } from '../config.ts';
import type { Lease } from '../lease.ts';
import type { Log } from '../log.ts';
import type { Server } from '../server.ts';
import type { Arena } from '../vault/arena.ts';
import type { SlotTable } from '../vault/slot.ts';
import { startKernel } from './kernel.ts';
import { startNative } from './native.ts';

export interface EngineParts {
  readonly config: Config;
  /** Undefined for an engine that dies with its process. */
  readonly held: Held | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly memory: SharedArrayBuffer;
  readonly arena: Arena;
  readonly slots: SlotTable;
  readonly lease: Lease;
  /** A slot was decrypted. */
  readonly onOpened: (slot: number) => void;
  /** The daemon cannot go on; another one may. */
  readonly onFailure: (error: unknown) => void;
  /** The mount is gone: neither can another one. */
  readonly onGone: () => void;
  /** The entry of the serving thread. */
  readonly worker: URL;
}

export interface Engine {
  readonly server: Server;
  /** From now on this one serves; resolves when nothing is left of what an earlier server had in hand, or had shown. */
  takeOver(): Promise<void>;
  /** All nodes that the kernel may have been told of; the holder withdraws them if no server can. */
  remember(nodes: readonly number[]): Promise<void>;
  /** Stops serving and leaves everything to the next one, which already waits. */
  handOver(): Promise<void>;
  /** Tells the holder that both threads live. @throws FuseError holder-gone */
  beat(): Promise<void>;
  /** Stops serving and takes the mount away. */
  close(): Promise<void>;
}

/** @throws FuseError mount-in-use, mount-foreign, mount-failed, state-invalid, engine-unavailable; DaemonError worker-failed */
export function startEngine(parts: EngineParts): Promise<Engine> {
  const { config, held } = parts;
  if (config.workload !== undefined) return startNative(parts, config.workload);
  if (held === undefined) throw new RangeError('the engine "kernel" needs a holder');
  return startKernel(parts, held);
}
