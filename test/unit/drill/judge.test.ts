// What a standstill of the machine excuses in a partition, and what it does not.
import { expect, test } from 'vitest';
import { summarize } from '../../../client/drill/summary.ts';
import { judgeReport } from '../../../drill/judge.ts';
import type { Report } from '../../../drill/judge.ts';
import { lengthOf } from '../../../drill/standstills.ts';
import type { Standstill } from '../../../drill/standstills.ts';
import type { DrillRecord, HostTrial } from '../../../manifest/realm/drill/report.ts';
import { imaginedRecord } from '../../support/drill-record.ts';

const LEASE_MS = 2000;
const BEGUN = new Map([
  ['web-1.example@11', 5_000_000],
  ['web-2.example@11', 5_000_100],
]);

/** Two hosts, of which the first was read from so long after its lease, in a mapping. */
function report(ms: number, late: number): Report {
  const good = imaginedRecord({ kind: 'partition', hosts: 2, trials: 1, leaseSeconds: LEASE_MS / 1000 });
  const change = (trial: HostTrial, i: number): HostTrial => ({
    ...trial,
    leaseUs: LEASE_MS * 1000,
    cutToLastReadUs: LEASE_MS * 1000 + (i === 0 ? ms * 1000 : 0),
    ways: { ...trial.ways, mapped: { ...trial.ways.mapped, late: i === 0 ? late : 0 } },
  });
  const record: DrillRecord = {
    ...good,
    trials: good.trials.map((trial) => ({ ...trial, hosts: trial.hosts.map(change) })),
  };
  return { record, summary: summarize(record, []) };
}

/** The machine stood still from then on, counted from the first cut, for so long. */
const still =
  (fromMs: number, ms: number) =>
  (from: bigint, to: bigint): number =>
    lengthOf([{ from: at(fromMs), to: at(fromMs + ms) }], from, to);
const at = (ms: number): bigint => BigInt(5000 + ms) * 1_000_000n;

test('in time: nothing is said', () => {
  expect(judgeReport(report(499, 0), still(0, 0), BEGUN)).toEqual({ problems: [], excused: [] });
});

test('late by no more than the machine stood still: excused, with its late reads', () => {
  const { problems, excused } = judgeReport(report(1560, 3), still(1990, 1100), BEGUN);
  expect(problems).toEqual([]);
  expect(excused).toEqual([
    'web-1.example was 1060 ms late in trial 1, and the machine stood still for 1100 ms of it',
  ]);
});

test.each([
  ['the machine ran', still(0, 0), BEGUN],
  ['it stood still for a shorter time', still(1990, 1000), BEGUN],
  ['it stood still before', still(-2000, 1900), BEGUN],
  ['it stood still after the last read', still(3570, 5000), BEGUN],
  ['nobody saw when the cut began', still(1990, 1100), new Map()],
] as const)('late, and %s: that is a problem', (_, stoodStill, begun) => {
  const { problems, excused } = judgeReport(report(1560, 3), stoodStill, begun);
  expect(excused).toEqual([]);
  expect(problems).toEqual([
    expect.stringMatching(/^no read after the effect: 3 reads;/),
    expect.stringMatching(/^cut off, it fails closed within .*: promised 2.5 s, at worst 3.56 s$/),
    expect.stringMatching(
      /^web-1.example was 1060 ms late in trial 1, and the machine stood still for \d+ ms of it$/,
    ),
  ]);
});

test('what is excused on one host excuses no other one', () => {
  const { record } = report(1560, 3);
  const [trial] = record.trials;
  const both = trial!.hosts.map((host, i) => (i === 1 ? { ...host, cutToLastReadUs: 5_000_000 } : host));
  const worse = { ...record, trials: [{ ...trial!, hosts: both }] };
  const { problems, excused } = judgeReport(
    { record: worse, summary: summarize(worse, []) },
    still(1990, 1100),
    BEGUN,
  );
  expect(excused).toHaveLength(1);
  expect(problems).toEqual([
    expect.stringMatching(/promised 2.5 s, at worst 5 s/),
    expect.stringMatching(/^web-2.example was 2500 ms late/),
  ]);
});

test('standstills of several CPUs count once where they overlap', () => {
  const spans: readonly Standstill[] = [
    { from: at(50), to: at(60) },
    { from: at(10), to: at(30) },
    { from: at(20), to: at(40) },
    { from: at(21), to: at(22) },
  ];
  expect(lengthOf(spans, at(0), at(100))).toBe(40);
  expect(lengthOf(spans, at(15), at(55))).toBe(30);
  expect(lengthOf(spans, at(41), at(49))).toBe(0);
  expect(lengthOf([], at(0), at(100))).toBe(0);
});
