// What must not grow: memory and descriptors of the server and of its holder, measured every few seconds while nothing
// disturbs them. Node takes minutes to reach its size, so the first quarter does not count, and of a short time only the
// descriptors do; it gives memory back late, so the least of the second quarter is compared with the least of the last.
import { readFileSync, readdirSync } from 'node:fs';

const MOST_GROWTH = { rssMiB: 24, descriptors: 4 } as const;
const ENOUGH_MS = 150_000;

export interface Measure {
  readonly rssMiB: number;
  readonly descriptors: number;
}

/** Undefined when it has just ended. */
export function measure(pid: number): Measure | undefined {
  try {
    return measured(pid);
  } catch {
    return undefined;
  }
}

function measured(pid: number): Measure {
  const [, kib = ''] = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return {
    rssMiB: Math.round(Number(kib) / 102.4) / 10,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

export interface Growth {
  /** The least of the second quarter of the time. */
  readonly first: Measure;
  /** The least of its last quarter. */
  readonly last: Measure;
  readonly problems: readonly string[];
  /** Resident memory over the time, in MiB, at most SERIES values: what levels out has another shape than what leaks. */
  readonly rssMiB: readonly number[];
}

const SERIES = 40;

export function growth(name: string, series: readonly Measure[], everyMs: number): Growth {
  const quarter = Math.max(1, series.length >> 2);
  const least = (some: readonly Measure[]): Measure => ({
    rssMiB: Math.min(...some.map(({ rssMiB }) => rssMiB)),
    descriptors: Math.min(...some.map(({ descriptors }) => descriptors)),
  });
  const [first, last] = [least(series.slice(quarter, 2 * quarter)), least(series.slice(-quarter))];
  const isLong = series.length * everyMs >= ENOUGH_MS;
  const problems = (['rssMiB', 'descriptors'] as const)
    .filter((what) => (isLong || what !== 'rssMiB') && last[what] - first[what] > MOST_GROWTH[what])
    .map((what) => `${what} of the ${name} grew from ${first[what]} to ${last[what]}`);
  const step = Math.max(1, Math.ceil(series.length / SERIES));
  return {
    first,
    last,
    problems: series.length < 4 ? [`too few measures of the ${name}`] : problems,
    rssMiB: series.filter((_, i) => i % step === 0).map(({ rssMiB }) => rssMiB),
  };
}
