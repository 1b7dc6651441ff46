// An objective that the operator sets: `revoke p99 < 250ms`. It names a kind of drill (the figure by which that kind is judged)
// or one figure of a summary, a percentile, and the time below which it must stay. What was not measured misses it.
import { DRILL_KINDS } from '../../manifest/realm/drill/order.ts';
import type { DrillKind } from '../../manifest/realm/drill/order.ts';
import type { DrillSummary, Spread } from '../../manifest/realm/drill/report.ts';
import { ClientError } from '../errors.ts';
import { figureOf } from './bound.ts';
import { FIGURES } from './figures.ts';
import { PERCENTILE_LABELS, PERCENTILES } from './spread.ts';
import type { Percentile } from './spread.ts';

export interface Slo {
  readonly text: string;
  /** Of the kind that it names; absent where it names a figure, which every kind may have. */
  readonly kind?: DrillKind;
  readonly figure: string;
  readonly percentile: Percentile;
  readonly belowMs: number;
}

export type SloResult = DrillSummary['slo'][number];

const SHAPE = /^\s*(\S+)\s+(\S+)\s*<\s*(\d{1,9}(?:\.\d{1,6})?)\s*(us|ms|s|m)\s*$/;
const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 };
const LONGEST = 100;

const GRAMMAR =
  `an objective is WHAT PERCENTILE < TIME, as 'revoke p99 < 250ms' or 'verifiedToInvalidated p99.9 < 2ms': ` +
  `WHAT is one of ${DRILL_KINDS.join(', ')}, or a figure of the report; ` +
  `PERCENTILE is one of ${Object.values(PERCENTILE_LABELS).join(', ')}; TIME ends with us, ms, s or m`;

/** @throws ClientError usage, with the grammar */
export function parseSlo(text: string): Slo {
  const [, what = '', percentileText = '', digits = '', unit = ''] =
    text.length > LONGEST ? [] : (SHAPE.exec(text) ?? []);
  const kind = DRILL_KINDS.find((each) => each === what);
  const figure = kind ? figureOf(kind) : what;
  const percentile = percentilesByLabel.get(percentileText);
  const belowMs = Number(digits) * (UNITS[unit] ?? NaN);
  if (!FIGURES.has(figure) || !percentile || !(belowMs > 0)) throw new ClientError('usage', GRAMMAR);
  return {
    text: `${what} ${percentileText} < ${digits}${unit}`,
    ...(kind ? { kind } : {}),
    figure,
    percentile,
    belowMs,
  };
}

const percentilesByLabel: ReadonlyMap<string, Percentile> = new Map(
  (Object.keys(PERCENTILES) as Percentile[]).map((percentile) => [PERCENTILE_LABELS[percentile], percentile]),
);

/** One that names another kind than was practised has nothing to be met by. */
export function judge(slo: Slo, kind: DrillKind, ms: Readonly<Record<string, Spread>>): SloResult {
  const { text, figure, percentile, belowMs } = slo;
  const spread = slo.kind === undefined || slo.kind === kind ? ms[figure] : undefined;
  if (!spread) return { text, met: false };
  const valueMs = spread[percentile];
  return { text, met: valueMs < belowMs, valueMs };
}
