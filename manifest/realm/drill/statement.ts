// What a host says of a drill, signed with its own key (JWS, EdDSA) and posted where its receipts go: that it takes no part,
// that its probe reads a version of the canary in all four ways, and what became of that version, with every moment that the
// host knows. Moments are microseconds of the host's CLOCK_MONOTONIC; `boot` says whose clock that is.
import type { HostName, RealmId } from '../../names.ts';

/** How a probe reads: opening by name, a descriptor held open, a private mapping, and whenever inotify speaks. */
export const WAYS = ['reopen', 'held', 'mapped', 'watched'] as const;
export type Way = (typeof WAYS)[number];

/** Moments on the host, in the order in which they come. */
export const HOST_MOMENTS = [
  /** The service's own clock, when the event left it; `serviceBoot` says whose. Not signed by the service. */
  'pushed',
  'received',
  'verified',
  /** The serving thread has the table without it: whoever asks is refused. */
  'denied',
  /** The last notification to the kernel has returned: no page, no name is left. */
  'invalidated',
  /** Its key and plaintext are zero in the arena, and nobody copies from them. */
  'zeroed',
  'receiptSigned',
  /** In a partition: from when on the host hears nothing of the drill's namespace, and when its lease ends. */
  'cut',
  'leaseEnd',
  /** In a crash: when the victim was struck, and when a reader was answered again. */
  'struck',
  'answered',
] as const;
export type HostMoment = (typeof HOST_MOMENTS)[number];

/** What the probe saw of one version in one way. */
export interface WayRecord {
  /** Attempts and successful reads, since the version was there. */
  readonly attempts: number;
  readonly reads: number;
  /** Successful reads of it that began after the effect (`invalidated`; in a partition, `leaseEnd`). */
  readonly late: number;
  /** Attempts after the effect: the control of `late`. */
  readonly attemptsAfter: number;
  /** When the last successful read of it ended, the first refusal after that began, and the first read of the next version ended. */
  readonly lastRead?: number;
  readonly firstDenied?: number;
  readonly firstNew?: number;
  /** Of the last refusal: an errno, or 1000 for SIGBUS. */
  readonly errno: number;
}

interface Common {
  readonly realm: RealmId;
  readonly host: HostName;
  /** The kernel's boot id. */
  readonly boot: string;
  /** The order's id. */
  readonly drill: string;
}

export interface Refused extends Common {
  readonly kind: 'refused';
  /** `drill-off`, `drill-cap`, `probe-failed`, `drill-busy`. */
  readonly code: string;
}

export interface Armed extends Common {
  readonly kind: 'armed';
  /** Of the canary. */
  readonly version: number;
}

export interface Observed extends Common {
  readonly kind: 'observed';
  readonly version: number;
  readonly moments: Readonly<Partial<Record<HostMoment, number>>>;
  /** Whose clock `pushed` is. */
  readonly serviceBoot?: string;
  readonly ways: Readonly<Record<Way, WayRecord>>;
}

export type DrillStatement = Refused | Armed | Observed;
