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

/** The server's own process, which walks every view to tell watchers what has changed, and may read nothing. */
export const SERVER: unique symbol = Symbol('server');

/** Who asks: a workload, the server itself, or undefined for anybody else. */
export type Who = Workload | typeof SERVER | undefined;

/** May the caller enter a view? */
export function enter(who: Who, view: Workload): Denial | undefined {
  if (who === undefined) return 'unknown-caller';
  return who === view || who === SERVER ? undefined : 'foreign-view';
}

/** May the caller have the bytes of a file of a view? */
export function admit(who: Who, view: Workload, leaseHolds: boolean): Denial | undefined {
  if (who === SERVER) return 'foreign-view';
  return enter(who, view) ?? (leaseHolds ? undefined : 'lease-over');
}
