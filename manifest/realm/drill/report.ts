// A drill's report: what was asked, what every host answered in every trial, and what it comes to. The figures are computed from
// the trials and nothing else, so whoever has the trials can compute them again. All times of a record are whole microseconds
// since that trial's clock zero (keys unlocked, value read, operator's consent given); those of a summary are milliseconds.
import type { HostName, RealmId } from '../../names.ts';
import type { DrillKind } from './order.ts';
import type { Way } from './statement.ts';

/** Stages in the order in which they come; the first two and the last belong to the operator's command. */
export const STAGES = [
  'signed',
  'committed',
  'pushed',
  'received',
  'verified',
  'denied',
  'invalidated',
  'zeroed',
  'receiptSigned',
  'receiptStored',
  'receiptVerified',
] as const;
export type Stage = (typeof STAGES)[number];

/** Whose clock a stage is read from. */
export const STAGE_CLOCKS: Readonly<Record<Stage, 'command' | 'service' | 'host'>> = {
  signed: 'command',
  committed: 'service',
  pushed: 'service',
  received: 'host',
  verified: 'host',
  denied: 'host',
  invalidated: 'host',
  zeroed: 'host',
  receiptSigned: 'host',
  receiptStored: 'service',
  receiptVerified: 'command',
};

export interface WayTimes {
  readonly attempts: number;
  readonly reads: number;
  /** Successful reads that began after the effect, and the attempts after it. */
  readonly late: number;
  readonly attemptsAfter: number;
  readonly lastReadUs?: number;
  readonly firstDeniedUs?: number;
  /** Rotation: the first read of the new version. */
  readonly firstNewUs?: number;
  readonly errno: number;
}

export interface HostTrial {
  readonly host: HostName;
  /**
   * `same`: the host shares the command's clock (one kernel), and times are exact to the microsecond. `bounded`: another
   * clock; each time of the host is the latest that it can have been, and at most `uncertaintyUs` earlier.
   */
  readonly clock: 'same' | 'bounded';
  readonly uncertaintyUs: number;
  readonly stages: Readonly<Partial<Record<Stage, number>>>;
  readonly ways: Readonly<Record<Way, WayTimes>>;
  /** Successful reads of the old version that began after the receipt was signed. */
  readonly readsAfterReceipt: number;
  /** Partition: the lease, and how long after the cut the last read of any way ended. Crash: until served again. */
  readonly leaseUs?: number;
  readonly cutToLastReadUs?: number;
  readonly struckToAnsweredUs?: number;
}

export interface Trial {
  readonly number: number;
  /** Of the canary. */
  readonly version: number;
  /** Milliseconds since the epoch, by the command's clock; for people. */
  readonly at: number;
  readonly hosts: readonly HostTrial[];
  /** Those that took part and did not answer in time. */
  readonly missing: readonly HostName[];
}

export interface Participant {
  readonly host: HostName;
  readonly state: 'took-part' | 'refused' | 'silent';
  readonly code?: string;
}

export interface DrillRecord {
  readonly realm: RealmId;
  readonly drill: string;
  readonly kind: DrillKind;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** How many trials came before those that are told here. */
  readonly warmUp: number;
  readonly leaseSeconds: number;
  /** What it was measured with: versions of lapse, node, the kernel; how many CPUs. */
  readonly environment: Readonly<Record<string, string>>;
  /** The probes were sabotaged or a fault was built in, and this must not pass. */
  readonly sabotage?: string;
  readonly participants: readonly Participant[];
  readonly trials: readonly Trial[];
  /** Ended before all of its trials were made. */
  readonly aborted: boolean;
}

export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** What is promised, and what was met. */
export interface Bound {
  /** In words: `fails closed within the lease`. */
  readonly text: string;
  readonly promisedMs: number;
  /** Absent where nothing was measured. */
  readonly metMs?: number;
  readonly met: boolean;
}

/** The figures of a record. Names of `ms` are `zeroTo` with a stage or `LastRead`, `LastRead.held`, `FirstNew`, …, and differences. */
export interface DrillSummary {
  readonly realm: RealmId;
  readonly drill: string;
  readonly kind: DrillKind;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly trials: number;
  readonly hosts: number;
  readonly silent: readonly HostName[];
  readonly ms: Readonly<Record<string, Spread>>;
  readonly readsAfterEffect: number;
  readonly readsAfterReceipt: number;
  /** How many attempts after the effect would have been noticed. */
  readonly attemptsAfter: number;
  readonly bound: Bound;
  /** Without a value where nothing was measured. */
  readonly slo: readonly { readonly text: string; readonly met: boolean; readonly valueMs?: number }[];
  readonly pass: boolean;
  /** sha256 of the canonical JSON of the record: what the figures were computed from. */
  readonly recordSha256: string;
}
