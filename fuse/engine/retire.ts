/**
 * Ends a server in order, from the thread that started it: no reader is left hanging. Neither `process.exit` nor an
 * uncaught exception can do that, they hang while the worker sits in its read. If `ended` does not come, the worker is
 * stuck: the caller bounds the wait, and then only SIGKILL helps.
 */
import { barrier } from '../barrier.ts';

export interface RetireOptions {
  /** Where the file system is attached. */
  readonly directory: string;
  /** Makes `stopped()` true. */
  readonly stop: () => void;
  /** Settles when the serving thread has ended, well or not. */
  readonly ended: Promise<unknown>;
  /**
   * What becomes of the mount when nobody here serves it any more: taken away (`unmount` and the last descriptor closed, or
   * `abort`), or served by another. Whoever still waits is answered by that, be it our own wake-up call.
   */
  readonly leave: () => Promise<void> | void;
}

export async function retire({ directory, stop, ended, leave }: RetireOptions): Promise<void> {
  stop();
  const woken = barrier(directory);
  await Promise.allSettled([ended]);
  await leave();
  await woken;
}
