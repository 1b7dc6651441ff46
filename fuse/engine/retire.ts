/**
 * Ends a server in order, from the thread that started it: no reader is left hanging, no mount is left behind. Neither
 * `process.exit` nor an uncaught exception can do that, they hang while the worker sits in its read. If `ended` does
 * not come, the worker is stuck: the caller bounds the wait, and then only SIGKILL helps.
 */
import { closeSync } from 'node:fs';
import { barrier } from '../barrier.ts';
import { unmount } from '../mount.ts';

export interface RetireOptions {
  readonly directory: string;
  /** What `mount` returned; closed here. No notification may be under way. */
  readonly device: number;
  /** Makes `stopped()` true. */
  readonly stop: () => void;
  /** Settles when the serving thread has ended, well or not. */
  readonly ended: Promise<unknown>;
  readonly signal: AbortSignal;
}

export async function retire({ directory, device, stop, ended, signal }: RetireOptions): Promise<void> {
  stop();
  const woken = barrier(directory);
  await Promise.allSettled([ended]);
  // Whoever still waits, be it our own wake-up call, gets ENOTCONN as the last descriptor goes.
  closeSync(device);
  await woken;
  await unmount(directory, signal);
}
