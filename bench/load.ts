// Mixed load on one lapsed for as many minutes as it is told (default 2), every reader's outcome checked against what it may
// see at that time; see load/. Any violation fails the bench, and so does a control that was not noticed.
import { percentile } from './findings.ts';
import type { Findings } from './findings.ts';
import { run } from './load/run.ts';
import type { Outcome } from './load/run.ts';

const DEFAULT_MINUTES = 2;
const MOST_MINUTES = 24 * 60;
const MOST_LINES = 20;

export async function load(parameters: readonly string[]): Promise<Findings> {
  const minutes = Number(parameters[0] ?? DEFAULT_MINUTES);
  if (!(minutes > 0 && minutes <= MOST_MINUTES)) throw new Error(`minutes: up to ${MOST_MINUTES}`);
  const outcome = await run(minutes, (line) => process.stderr.write(`${line}\n`));
  return {
    lines: linesOf(minutes, outcome),
    json: jsonOf(minutes, outcome),
    failed: outcome.violations.length > 0,
  };
}

function linesOf(minutes: number, outcome: Outcome): readonly string[] {
  const { violations, violationCount, growth, planted, stalls } = outcome;
  const { total, recovery } = sums(outcome);
  const counts = (record: Readonly<Record<string, number>>): string =>
    Object.entries(record)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  const noticed = planted.filter((control) => control.noticed).length;
  return [
    `${minutes} min of mixed load, ${total} attempts: ${counts(outcome.attempts)}`,
    `results: ${counts(outcome.results)}; the slowest took ${outcome.slowestMs} ms`,
    `meanwhile: ${counts({ ...outcome.changes, ...outcome.disturbances })}`,
    `from a kill or a stop until everything is served: p50 ${recovery.p50} ms, most ${recovery.max} ms`,
    ...(['server', 'holder'] as const).map((name) => {
      const { first, last } = growth[name];
      return `${name}: ${first.rssMiB} to ${last.rssMiB} MiB, ${first.descriptors} to ${last.descriptors} descriptors`;
    }),
    `the machine stood still ${stalls.count} times, for at most ${stalls.longestMs} ms; ${stalls.attempts} attempts took too long by that`,
    `controls noticed: ${noticed} of ${planted.length}`,
    ...violations.slice(0, MOST_LINES).map((violation) => `VIOLATION ${violation}`),
    violationCount === 0 ? 'no violation' : `${violationCount} violations`,
  ];
}

function jsonOf(minutes: number, outcome: Outcome): object {
  const { recoveriesMs: _, planted, ...rest } = outcome;
  const { total, recovery } = sums(outcome);
  const noticed = planted.filter((control) => control.noticed).length;
  return {
    load: { minutes, total, ...rest, recoveryMs: recovery, controls: { planted: planted.length, noticed } },
  };
}

function sums({ attempts, recoveriesMs }: Outcome) {
  return {
    total: Object.values(attempts).reduce((sum, count) => sum + count, 0),
    recovery: {
      p50: Math.round(percentile(recoveriesMs, 0.5)),
      max: Math.round(percentile(recoveriesMs, 1)),
    },
  };
}
