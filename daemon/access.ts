// The decision, made on every lookup, open and read, and the only place that makes it: may this caller have this
// file now? It knows no errno and no protocol; `tree/errno.ts` says what a reader sees of each denial.
import type { Workload } from '../manifest/names.ts';

export type Denial =
  /** The caller is no registered workload, or cannot be told. */
  | 'unknown-caller'
  /** The view is another workload's. */
  | 'foreign-view'
  /** The view has no such file: never granted, or revoked since. */
  | 'no-such-file'
  /** What was opened has been taken back. */
  | 'revoked'
  /** The host had no news for longer than the lease. */
  | 'lease-over';

/** May the caller enter a view? */
export function enter(caller: Workload | undefined, view: Workload): Denial | undefined {
  if (caller === undefined) return 'unknown-caller';
  return caller === view ? undefined : 'foreign-view';
}

/** May the caller have the bytes of a file of a view? */
export function admit(caller: Workload | undefined, view: Workload, leaseHolds: boolean): Denial | undefined {
  return enter(caller, view) ?? (leaseHolds ? undefined : 'lease-over');
}
