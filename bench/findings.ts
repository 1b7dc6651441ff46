// What a bench found: lines for a person, and the same for a program.
export interface Findings {
  readonly lines: readonly string[];
  readonly json: object;
  /** What was found must not be. */
  readonly failed?: boolean;
}

/** The value below which a share of them lies, by the nearest rank; `share` from 0 to 1. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}
