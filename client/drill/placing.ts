// Where the moments of a service and of a host lie after clock zero. Whoever shares the command's kernel (the same boot id) is
// subtracted from. Anybody else's clock is only ever subtracted from itself: a publish and its answer tie the service's clock
// to the command's, a push and a stored word tie the host's to the service's, and what those journeys may have taken stays
// open. So a moment gets the latest time that it can have had, and one uncertainty says how much earlier it may have been.
import type { ServiceMoment } from '../../manifest/realm/exchange.ts';
import type { Observed } from '../../manifest/realm/drill/statement.ts';

/** What ties the clocks of one trial together, in microseconds: all of the command's clock but `committed`. */
export interface TrialClocks {
  /** The command's boot id. */
  readonly boot: string;
  /** When the trial's canary began to be made: nothing of the trial is earlier. */
  readonly begun: number;
  readonly zero: number;
  /** The publish was sent after the one and answered by the other. */
  readonly signed: number;
  readonly answered: number;
  /** The service's, right after the commit. */
  readonly committed: ServiceMoment;
}

/** A moment of the host, and when the service had stored a word that the host signed no earlier than then. */
export interface Anchor {
  readonly host: number;
  readonly storedAt: number;
}

export interface Placing {
  readonly clock: 'same' | 'bounded';
  readonly uncertaintyUs: number;
  /** The latest that a moment of the host can have been, after zero. */
  readonly at: (moment: number) => number;
}

/** The latest that a moment of the service can have been, in microseconds after zero. */
export function placeService({ boot, zero, answered, committed }: TrialClocks, at: number): number {
  return committed.boot === boot ? at - zero : answered - zero + (at - committed.at);
}

export function placeHost(clocks: TrialClocks, observed: Observed, anchor: Anchor): Placing {
  const { boot, zero } = clocks;
  if (observed.boot === boot) return { clock: 'same', uncertaintyUs: 0, at: (moment) => moment - zero };
  const latest = placeService(clocks, anchor.storedAt);
  const at = (moment: number): number => latest - (anchor.host - moment);
  const first = earliest(clocks, observed);
  return { clock: 'bounded', uncertaintyUs: Math.max(0, at(first.moment) - first.us), at };
}

/** A moment of the host, and the earliest that it can have been, in microseconds after zero. */
function earliest(clocks: TrialClocks, observed: Observed): { readonly moment: number; readonly us: number } {
  const { boot, begun, zero, signed, committed } = clocks;
  const { moments, serviceBoot } = observed;
  const { received, pushed } = moments;
  if (received === undefined) return { moment: Math.min(...momentsOf(observed)), us: begun - zero };
  // What it received was committed; and pushed, where that service's clock is known.
  const commit = committed.boot === boot ? committed.at - zero : signed - zero;
  const journey = pushed !== undefined && serviceBoot === committed.boot ? pushed - committed.at : 0;
  return { moment: received, us: commit + journey };
}

/** Every moment of the host that a statement tells: it was signed after all of them, but for a lease's end. */
export function momentsOf({ moments, ways }: Observed): readonly number[] {
  const { pushed: _ofTheService, leaseEnd: _mayBeAhead, ...own } = moments;
  const seen = Object.values(ways).flatMap(({ lastRead, firstDenied, firstNew }) => [
    lastRead,
    firstDenied,
    firstNew,
  ]);
  return [...Object.values(own), ...seen].filter((moment) => moment !== undefined);
}
