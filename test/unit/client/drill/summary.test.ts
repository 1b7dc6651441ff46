// From hand-made records to figures and verdicts: every sentence that a drill must fulfil is broken once, alone.
import { expect, test } from 'vitest';
import { checksOf } from '../../../../client/drill/checks.ts';
import { parseSlo } from '../../../../client/drill/slo.ts';
import { summarize } from '../../../../client/drill/summary.ts';
import { canonicalJson } from '../../../../manifest/canonical-json.ts';
import { sha256 } from '../../../../manifest/tuf/metadata.ts';
import type { Json } from '../../../../manifest/json.ts';
import type { DrillRecord } from '../../../../manifest/realm/drill/report.ts';
import { A, B, hostTrial, record, trial, way, ways } from './records.ts';

const failed = (of: DrillRecord): readonly string[] =>
  checksOf(of, summarize(of, []))
    .filter(({ passed }) => !passed)
    .map(({ name }) => name);

test('one trial of one host: every figure is its one value', () => {
  const one = record([trial(1, [hostTrial(A, 12_345)])]);
  const summary = summarize(one, []);
  expect(summary.ms['zeroToLastRead']).toEqual({
    count: 1,
    p50: 12.345,
    p90: 12.345,
    p99: 12.345,
    p999: 12.345,
    max: 12.345,
  });
  expect(summary.ms['zeroToLastRead.held']?.max).toBe(12.345);
  expect(summary.ms['zeroToFirstDenied.mapped']?.max).toBe(12.395);
  expect(summary.ms['verifiedToInvalidated']?.max).toBe(0.5);
  expect(summary.ms['zeroToCommitted']?.p50).toBe(2);
  expect(Object.keys(summary.ms)).not.toContain('zeroToPushed');
  expect(summary).toMatchObject({
    trials: 1,
    hosts: 1,
    silent: [],
    readsAfterEffect: 0,
    readsAfterReceipt: 0,
    attemptsAfter: 20,
  });
  expect(summary.bound).toEqual({
    text: 'fails closed within the lease',
    promisedMs: 60_000,
    metMs: 12.345,
    met: true,
  });
  expect(summary.pass).toBe(true);
});

test('percentiles are values that were measured, by the nearest rank', () => {
  const trials = Array.from({ length: 1000 }, (_, i) => trial(i + 1, [hostTrial(A, (1000 - i) * 1000)]));
  const { ms } = summarize(record(trials), []);
  expect(ms['zeroToLastRead']).toEqual({ count: 1000, p50: 500, p90: 900, p99: 990, p999: 999, max: 1000 });
});

test('a rank between two values is the upper one: no share is claimed that was not reached', () => {
  const trials = [70, 10, 60, 20, 50, 30, 40].map((ms, i) => trial(i + 1, [hostTrial(A, ms * 1000)]));
  const { ms } = summarize(record(trials), []);
  expect(ms['zeroToLastRead']).toEqual({ count: 7, p50: 40, p90: 70, p99: 70, p999: 70, max: 70 });
});

test('the last read of a trial is the latest of the four ways, and none where one is not known', () => {
  const uneven = hostTrial(A, 10_000, { ways: ways(way(10_000), { mapped: way(14_000), held: way(-3) }) });
  expect(summarize(record([trial(1, [uneven])]), []).ms['zeroToLastRead']?.max).toBe(14);
  expect(summarize(record([trial(1, [uneven])]), []).ms['zeroToLastRead.held']?.max).toBe(0);
  const { lastReadUs: _, ...unknown } = way(1);
  const partial = record([trial(1, [hostTrial(A, 10_000, { ways: ways(way(10_000), { held: unknown }) })])]);
  expect(summarize(partial, []).ms['zeroToLastRead']).toBeUndefined();
  expect(failed(partial)).toEqual(['fails closed within the lease']);
});

test('rotation: the new version is there when the slowest way has it', () => {
  const host = hostTrial(A, 9000, {
    ways: ways(way(9000, { firstNewUs: 9500 }), { watched: way(9000, { firstNewUs: 9900 }) }),
  });
  expect(summarize(record([trial(1, [host])], { kind: 'rotate' }), []).ms['zeroToFirstNew']?.max).toBe(9.9);
});

test.for<[string, DrillRecord, readonly string[]]>([
  ['nothing at all', record([]), ['all trials were made', 'fails closed within the lease']],
  [
    'nobody',
    record([trial(1, [])], { participants: [] }),
    ['a host took part', 'fails closed within the lease'],
  ],
  ['aborted', record([trial(1, [hostTrial(A, 9000)])], { aborted: true }), ['all trials were made']],
  [
    'a host that never answered',
    record([trial(1, [hostTrial(A, 9000)])], {
      participants: [
        { host: A, state: 'took-part' },
        { host: B, state: 'silent' },
      ],
    }),
    ['every host answered every trial'],
  ],
  [
    'a host that fell silent',
    record([trial(1, [hostTrial(A, 9000)], [B])]),
    ['every host answered every trial'],
  ],
  [
    'a host that is just not there',
    record([trial(1, [hostTrial(A, 9000)]), trial(2, [])]),
    ['every host answered every trial'],
  ],
  [
    'a late read',
    record([trial(1, [hostTrial(A, 9000, { ways: ways(way(9000), { mapped: way(9000, { late: 1 }) }) })])]),
    ['no read after the effect'],
  ],
  [
    'a read after the receipt',
    record([trial(1, [hostTrial(A, 9000, { readsAfterReceipt: 1 })])]),
    ['no read after the receipt'],
  ],
  [
    'a way that had stopped trying',
    record([
      trial(1, [hostTrial(A, 9000, { ways: ways(way(9000), { held: way(9000, { attemptsAfter: 0 }) }) })]),
    ]),
    ['every way had read, and went on trying after the effect'],
  ],
  [
    'a way that had never read',
    record([trial(1, [hostTrial(A, 9000, { ways: ways(way(9000), { held: way(9000, { reads: 0 }) }) })])]),
    ['every way had read, and went on trying after the effect'],
  ],
  ['later than the lease', record([trial(1, [hostTrial(A, 60_000_001)])]), ['fails closed within the lease']],
  [
    'a host that refused takes no part, and that is no failure',
    record([trial(1, [hostTrial(A, 9000)])], {
      participants: [
        { host: A, state: 'took-part' },
        { host: B, state: 'refused', code: 'drill-off' },
      ],
    }),
    [],
  ],
])('%s', ([, of, names]) => {
  expect(failed(of)).toEqual(names);
  expect(summarize(of, []).pass).toBe(names.length === 0);
});

test('a partition is judged by the cut, and has the lease and half a second', () => {
  const cut = (cutToLastReadUs: number): DrillRecord =>
    record([trial(1, [hostTrial(A, 9_000_000, { cutToLastReadUs })])], {
      kind: 'partition',
      leaseSeconds: 3,
    });
  expect(summarize(cut(3_500_000), []).bound).toMatchObject({ promisedMs: 3500, metMs: 3500, met: true });
  expect(summarize(cut(3_500_001), []).bound.met).toBe(false);
  const untold = record([trial(1, [hostTrial(A, 9000)])], { kind: 'partition' });
  expect(summarize(untold, []).bound).toEqual(
    expect.not.objectContaining({ metMs: expect.anything() as unknown }),
  );
  expect(summarize(untold, []).pass).toBe(false);
});

test('one trial without the figure is enough to leave the bound unproven', () => {
  const trials = [trial(1, [hostTrial(A, 9000, { cutToLastReadUs: 1 })]), trial(2, [hostTrial(A, 9000)])];
  expect(failed(record(trials, { kind: 'partition' }))).toEqual([
    'cut off, it fails closed within the lease and 0.5 s',
  ]);
});

test('a crash has the lease and what its holder needs', () => {
  const crash = record([trial(1, [hostTrial(A, 9000, { struckToAnsweredUs: 1_200_000 })])], {
    kind: 'crash',
    leaseSeconds: 3,
  });
  expect(summarize(crash, []).bound).toMatchObject({ promisedMs: 19_000, metMs: 9 });
  expect(summarize(crash, []).ms['struckToAnswered']?.max).toBe(1200);
});

test('an objective that is missed fails the drill', () => {
  const one = record([trial(1, [hostTrial(A, 9000)])]);
  expect(summarize(one, [parseSlo('revoke p99 < 10ms')])).toMatchObject({
    pass: true,
    slo: [{ text: 'revoke p99 < 10ms', met: true, valueMs: 9 }],
  });
  expect(summarize(one, [parseSlo('revoke p99 < 9ms')])).toMatchObject({
    pass: false,
    slo: [{ met: false }],
  });
  expect(summarize(one, [parseSlo('cutToLastRead max < 9s')]).slo).toEqual([
    { text: 'cutToLastRead max < 9s', met: false },
  ]);
  expect(summarize(one, [parseSlo('crash max < 9s')]).pass).toBe(false);
});

test('sabotage changes no figure: it is for the figures to betray it', () => {
  const host = hostTrial(A, 9000, {
    ways: ways(way(9000), { mapped: way(9000, { late: 3 }) }),
    readsAfterReceipt: 2,
  });
  expect(summarize(record([trial(1, [host])], { sabotage: 'no-invalidate' }), [])).toMatchObject({
    readsAfterEffect: 3,
    readsAfterReceipt: 2,
    pass: false,
  });
  expect(summarize(record([trial(1, [hostTrial(A, 9000)])], { sabotage: 'no-invalidate' }), []).pass).toBe(
    true,
  );
});

test('the hash is of the canonical JSON of the record', () => {
  const one = record([trial(1, [hostTrial(A, 9000)])]);
  expect(summarize(one, []).recordSha256).toBe(sha256(canonicalJson(one as unknown as Json)));
  expect(summarize({ ...one, warmUp: 1 }, []).recordSha256).not.toBe(summarize(one, []).recordSha256);
});
