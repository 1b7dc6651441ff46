// The figures of a drill: what is measured of one host in one trial, each under the name that it has in a summary. Every
// table, chart and objective takes its values from here, so all of them speak of the same thing.
import { STAGES } from '../../manifest/realm/drill/report.ts';
import type { DrillRecord, HostTrial, WayTimes } from '../../manifest/realm/drill/report.ts';
import { WAYS } from '../../manifest/realm/drill/statement.ts';
import type { Way } from '../../manifest/realm/drill/statement.ts';

/** In whole microseconds; absent where the host did not tell, or nothing of that kind happens in this drill. */
export type Measure = (trial: HostTrial) => number | undefined;

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

export const stageFigure = (stage: string): string => `zeroTo${capital(stage)}`;
export const lastReadFigure = (way: Way): string => `zeroToLastRead.${way}`;
export const firstDeniedFigure = (way: Way): string => `zeroToFirstDenied.${way}`;

/** By name, in the order in which they are shown. */
export const FIGURES: ReadonlyMap<string, Measure> = new Map<string, Measure>([
  ...STAGES.map((stage): [string, Measure] => [stageFigure(stage), ({ stages }) => stages[stage]]),
  ['zeroToLastRead', ({ ways }) => latest(WAYS.map((way) => ways[way].lastReadUs))],
  ...WAYS.map((way): [string, Measure] => [lastReadFigure(way), ofWay(way, 'lastReadUs')]),
  ...WAYS.map((way): [string, Measure] => [firstDeniedFigure(way), ofWay(way, 'firstDeniedUs')]),
  // When the slowest of those that read the new version at all had it.
  ['zeroToFirstNew', ({ ways }) => latest(WAYS.map((way) => ways[way].firstNewUs).filter(isNumber))],
  ['verifiedToInvalidated', ({ stages }) => difference(stages.verified, stages.invalidated)],
  ['cutToLastRead', ({ cutToLastReadUs }) => cutToLastReadUs],
  ['struckToAnswered', ({ struckToAnsweredUs }) => struckToAnsweredUs],
]);

/** The values of each figure that was measured at all: whole microseconds, ascending. */
export function valuesOf({ trials }: Pick<DrillRecord, 'trials'>): ReadonlyMap<string, Float64Array> {
  const all = trials.flatMap(({ hosts }) => hosts);
  const found = [...FIGURES].map(
    ([name, measure]) => [name, Float64Array.from(all.map(measure).filter(isNumber)).sort()] as const,
  );
  return new Map(found.filter(([, values]) => values.length > 0));
}

/** A way whose last read ended before clock zero was not kept waiting: that counts as zero. */
function ofWay(way: Way, member: 'lastReadUs' | 'firstDeniedUs'): Measure {
  return ({ ways }) => {
    const us: WayTimes[typeof member] = ways[way][member];
    return us === undefined ? undefined : Math.max(0, us);
  };
}

/** Nothing where one is missing: the latest of the others would be too good. */
function latest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter(isNumber);
  return known.length > 0 && known.length === times.length ? Math.max(0, ...known) : undefined;
}

function difference(from: number | undefined, to: number | undefined): number | undefined {
  return from === undefined || to === undefined ? undefined : to - from;
}

function isNumber(value: number | undefined): value is number {
  return value !== undefined;
}
