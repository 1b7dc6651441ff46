// One host in one trial, as a record tells it: what the host observed, laid on the command's time after clock zero, with what
// the service and the command know beside it.
import type { HostTrial, Stage, WayTimes } from '../../manifest/realm/drill/report.ts';
import type { HostMoment, Observed, Way, WayRecord } from '../../manifest/realm/drill/statement.ts';
import { momentsOf, placeHost, placeService } from './placing.ts';
import type { Placing, TrialClocks } from './placing.ts';

export interface Heard {
  readonly observed: Observed;
  /** When the service stored the statement, in microseconds of its clock. */
  readonly storedAt: number;
  /** The receipt of the change; `storedAt` is the service's, `verifiedAt` the command's clock. */
  readonly receipt?: { readonly storedAt: number; readonly verifiedAt: number };
}

/** All times in whole microseconds after zero. */
export function hostTrial(clocks: TrialClocks, { observed, storedAt, receipt }: Heard): HostTrial {
  const { host, moments } = observed;
  const { receiptSigned, cut, leaseEnd, struck, answered } = moments;
  const isAnchored = receipt !== undefined && receiptSigned !== undefined;
  const anchor = isAnchored
    ? { host: receiptSigned, storedAt: receipt.storedAt }
    : { host: Math.max(...momentsOf(observed)), storedAt };
  const placing = placeHost(clocks, observed, anchor);
  const { reopen, held, mapped, watched } = observed.ways;
  const ways = Object.values(observed.ways);
  const lastRead = Math.max(...ways.map((way) => way.lastRead ?? -Infinity));
  const between = (from?: number, to?: number): number | undefined =>
    from === undefined || to === undefined ? undefined : to - from;
  return {
    host,
    clock: placing.clock,
    uncertaintyUs: placing.uncertaintyUs,
    stages: stagesOf(clocks, observed, placing, receipt),
    ways: {
      reopen: wayTimes(reopen, placing),
      held: wayTimes(held, placing),
      mapped: wayTimes(mapped, placing),
      watched: wayTimes(watched, placing),
    } satisfies Record<Way, WayTimes>,
    readsAfterReceipt: ways.reduce((sum, way) => sum + lateSince(way, receiptSigned), 0),
    ...present({
      leaseUs: between(cut, leaseEnd),
      cutToLastReadUs: lastRead > -Infinity ? between(cut, lastRead) : undefined,
      struckToAnsweredUs: between(struck, answered),
    }),
  };
}

function stagesOf(
  clocks: TrialClocks,
  { moments, serviceBoot }: Observed,
  { at }: Placing,
  receipt: Heard['receipt'],
): HostTrial['stages'] {
  const { zero, signed, committed } = clocks;
  const { pushed } = moments;
  const isKnown = pushed !== undefined && serviceBoot === committed.boot;
  const onHost = (stage: Stage & HostMoment): number | undefined =>
    moments[stage] === undefined ? undefined : at(moments[stage]);
  return present({
    signed: signed - zero,
    committed: placeService(clocks, committed.at),
    pushed: isKnown ? placeService(clocks, pushed) : undefined,
    received: onHost('received'),
    verified: onHost('verified'),
    denied: onHost('denied'),
    invalidated: onHost('invalidated'),
    zeroed: onHost('zeroed'),
    receiptSigned: onHost('receiptSigned'),
    receiptStored: receipt && placeService(clocks, receipt.storedAt),
    receiptVerified: receipt && receipt.verifiedAt - zero,
  } satisfies Record<Stage, number | undefined>);
}

function wayTimes({ lastRead, firstDenied, firstNew, ...counts }: WayRecord, { at }: Placing): WayTimes {
  const { attempts, reads, late, attemptsAfter, errno } = counts;
  const placed = (moment: number | undefined): number | undefined =>
    moment === undefined ? undefined : at(moment);
  return {
    attempts,
    reads,
    late,
    attemptsAfter,
    ...present({
      lastReadUs: placed(lastRead),
      firstDeniedUs: placed(firstDenied),
      firstNewUs: placed(firstNew),
    }),
    errno,
  };
}

/** Of the reads that began after the effect, all count where the last of them ended after the receipt was signed. */
function lateSince({ late, lastRead }: WayRecord, receiptSigned: number | undefined): number {
  return receiptSigned !== undefined && lastRead !== undefined && lastRead > receiptSigned ? late : 0;
}

/** Without what is undefined. */
function present<Name extends string>(
  members: Readonly<Record<Name, number | undefined>>,
): Readonly<Partial<Record<Name, number>>> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<
    Record<Name, number>
  >;
}
