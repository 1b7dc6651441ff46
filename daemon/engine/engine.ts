// What an engine is given and what it is: the tree before the kernel, replaceable by a next server where it has a holder.
import type { Clock } from '../../client/clock.ts';
import type { Held } from '../../fuse/hold/held.ts';
import type { CrashMeans } from '../../manifest/realm/drill/order.ts';
import type { Config } from '../config.ts';
import type { Leases } from '../leases.ts';
import type { Log } from '../log.ts';
import type { Server } from '../server.ts';
import type { Arena } from '../vault/arena.ts';
import type { SlotTable } from '../vault/slot.ts';

export interface EngineParts {
  readonly config: Config;
  /** Undefined for an engine that dies with its process. */
  readonly held: Held | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly memory: SharedArrayBuffer;
  readonly arena: Arena;
  readonly slots: SlotTable;
  readonly leases: Leases;
  /** A slot was decrypted. */
  readonly onOpened: (slot: number) => void;
  /** The daemon cannot go on; another one may. */
  readonly onFailure: (error: unknown) => void;
  /** The connection has ended: neither can another one. */
  readonly onGone: () => void;
  /** The entry of the serving thread. */
  readonly worker: URL;
}

export interface Engine {
  readonly server: Server;
  /** After a crash: from now on this one serves, and nothing is left of what the one before had in hand, or had shown. */
  resume(): Promise<void>;
  /** All nodes that the kernel may have been told of; the holder withdraws them if no server can. */
  remember(nodes: readonly number[]): Promise<void>;
  /** Stops serving and leaves everything to the next one, which already waits, and serves from its first table on. */
  handOver(): Promise<void>;
  /** Tells the holder that both threads live. @throws FuseError holder-gone */
  beat(): Promise<void>;
  /** Kills the serving thread, or makes it hang, in the middle of everything: for a drill. */
  strike(means: CrashMeans): void;
  /** Stops serving and takes the mount away; the next one that does not serve yet leaves it alone. */
  close(): Promise<void>;
}
