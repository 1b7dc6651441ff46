// Whether what a drill's own report says holds on this machine, which may have stood still meanwhile: in a partition a host has to
// keep a time, and no more is asked of it than the time in which the machine ran.
import { checksOf } from '../client/drill/checks.ts';
import type { DrillRecord, DrillSummary, HostTrial } from '../manifest/realm/drill/report.ts';
import { WAYS } from '../manifest/realm/drill/statement.ts';
import { MARGIN_MS } from './cuts.ts';
import type { StoodStill } from './standstills.ts';

/** The one document that `lapse drill KIND --json` prints. */
export interface Report {
  readonly summary: DrillSummary;
  readonly record: DrillRecord;
}

export interface Judged {
  /** One sentence for each promise that was not kept. */
  readonly problems: readonly string[];
  /** What was late because the machine stood still, one sentence each. */
  readonly excused: readonly string[];
}

/** A host that was read from for too long after its lease, and why that may be. */
interface Delay {
  readonly trial: HostTrial;
  readonly number: number;
  readonly lateMs: number;
  readonly stoodStillMs: number;
}

/** `begun` says when the cuts of a partition began: by `host@version` of the canary, in microseconds of CLOCK_MONOTONIC. */
export function judgeReport(
  { summary, record }: Report,
  stoodStill: StoodStill,
  begun: ReadonlyMap<string, number> = new Map(),
): Judged {
  const delays = record.trials.flatMap(({ number, version, hosts }) =>
    hosts.flatMap((trial): readonly Delay[] => {
      const { host, leaseUs, cutToLastReadUs } = trial;
      if (leaseUs === undefined || cutToLastReadUs === undefined) return [];
      const lateMs = (cutToLastReadUs - leaseUs) / 1000 - MARGIN_MS;
      if (lateMs <= 0) return [];
      const cut = begun.get(`${host}@${version}`);
      const stoodStillMs =
        cut === undefined ? 0 : stoodStill(nanoseconds(cut), nanoseconds(cut + cutToLastReadUs));
      return [{ trial, number, lateMs, stoodStillMs }];
    }),
  );
  const excused = delays.filter(({ lateMs, stoodStillMs }) => lateMs <= stoodStillMs);
  const figures = excused.length > 0 ? without(excused, record, summary) : summary;
  const failed = checksOf(record, figures).filter(({ passed }) => !passed);
  const unexcused = delays.filter((delay) => !excused.includes(delay));
  return {
    problems: [
      ...failed.map(({ name, found }) => `${name}: ${found}`),
      ...(failed.length > 0 ? unexcused.map(sentence) : []),
    ],
    excused: excused.map(sentence),
  };
}

/** The figures without what is excused. */
function without(excused: readonly Delay[], { trials }: DrillRecord, summary: DrillSummary): DrillSummary {
  const those = new Set(excused.map(({ trial }) => trial));
  const late = [...those].reduce(
    (sum, { ways }) => sum + WAYS.reduce((of, way) => of + ways[way].late, 0),
    0,
  );
  const { bound, readsAfterEffect } = summary;
  const met = trials
    .flatMap(({ hosts }) => hosts)
    .every((trial) => those.has(trial) || (trial.cutToLastReadUs ?? Infinity) <= bound.promisedMs * 1000);
  return { ...summary, readsAfterEffect: readsAfterEffect - late, bound: { ...bound, met } };
}

function nanoseconds(us: number): bigint {
  return BigInt(us) * 1000n;
}

function sentence({ trial: { host }, number, lateMs, stoodStillMs }: Delay): string {
  const [late, still] = [lateMs, stoodStillMs].map((ms) => ms.toFixed(0));
  return `${host} was ${late} ms late in trial ${number}, and the machine stood still for ${still} ms of it`;
}
