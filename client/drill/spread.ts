// How values spread: percentiles by the nearest rank, so each is a value that was measured. They are exact, and on purpose no
// histogram: `hdr-histogram-js` (3.0.1, with pako 1 and a WebAssembly loader) rounds to some significant digits to save memory,
// which a drill does not need, since its record keeps every value; and whoever recomputes a report must get equal numbers.
import type { Spread } from '../../manifest/realm/drill/report.ts';

/** In thousandths, so that the rank is computed without rounding. */
export const PERCENTILES = { p50: 500, p90: 900, p99: 990, p999: 999, max: 1000 } as const;
export type Percentile = keyof typeof PERCENTILES;

/** As people write them. */
export const PERCENTILE_LABELS: Readonly<Record<Percentile, string>> = {
  p50: 'p50',
  p90: 'p90',
  p99: 'p99',
  p999: 'p99.9',
  max: 'max',
};

/** Of whole microseconds, ascending and at least one; in milliseconds. */
export function spreadOf(ascending: Float64Array): Spread {
  const ms = (percentile: Percentile): number => nearestRank(ascending, PERCENTILES[percentile]) / 1000;
  return {
    count: ascending.length,
    p50: ms('p50'),
    p90: ms('p90'),
    p99: ms('p99'),
    p999: ms('p999'),
    max: ms('max'),
  };
}

/** The least value that at least so many thousandths of all do not exceed. */
export function nearestRank(ascending: Float64Array, thousandths: number): number {
  return ascending[Math.max(0, Math.ceil((thousandths * ascending.length) / 1000) - 1)] ?? NaN;
}
