// The report in the terminal: as wide as a terminal is, numbers in line, and nothing left out that a reader must know.
import { expect, test } from 'vitest';
import { parseSlo } from '../../../../client/drill/slo.ts';
import { summarize } from '../../../../client/drill/summary.ts';
import { tableLines } from '../../../../client/drill/table.ts';
import { counted, fixed, grouped, milliseconds, names } from '../../../../client/drill/words.ts';
import { DRILL_KINDS } from '../../../../manifest/realm/drill/order.ts';
import type { DrillRecord } from '../../../../manifest/realm/drill/report.ts';
import { imaginedRecord } from '../../../support/drill-record.ts';
import { A, B, hostTrial, record, trial, way, ways } from './records.ts';

const lines = (of: DrillRecord, ...slos: string[]): readonly string[] =>
  tableLines(summarize(of, slos.map(parseSlo)), of);

test.for(DRILL_KINDS)(
  '%s: no line is longer than 80 characters, and the points stand below each other',
  (kind) => {
    const table = lines(imaginedRecord({ kind, trials: 20, leaseSeconds: 3 }), `${kind} p99 < 5s`);
    expect(table.filter((line) => line.length > 80)).toEqual([]);
    const rows = table.filter((line) => /^ {2}.*\d\.\d\d$/.test(line));
    expect(rows.length).toBeGreaterThan(15);
    const points = (line: string): number[] => [...line.matchAll(/\./g)].map(({ index }) => index);
    expect(new Set(rows.map((line) => points(line).join()))).toHaveLength(1);
    expect(table.at(-1)).toBe('PASSED');
  },
);

test('one trial, line by line', () => {
  expect(lines(record([trial(1, [hostTrial(A, 12_340)])]), 'revoke p99 < 250ms')).toEqual([
    'Drill revoke: 1 trial, 1 host.',
    `1970-01-01 00:16:40 UTC, took 2 s; ${'cd'.repeat(16)}`,
    '',
    'ms since clock zero            clock        p50     p90     p99   p99.9     max',
    'stages',
    '  signed                       command     1.00    1.00    1.00    1.00    1.00',
    '  committed                    service     2.00    2.00    2.00    2.00    2.00',
    '  verified                     host       11.94   11.94   11.94   11.94   11.94',
    '  kernel invalidated           host       12.44   12.44   12.44   12.44   12.44',
    'seen by the probes',
    ...['', ', reopen', ', held', ', mapped', ', watched'].map(
      (which) => `  ${`last read${which}`.padEnd(28)} host       12.34   12.34   12.34   12.34   12.34`,
    ),
    ...['reopen', 'held', 'mapped', 'watched'].map(
      (which) => `  ${`first denied, ${which}`.padEnd(28)} host       12.39   12.39   12.39   12.39   12.39`,
    ),
    'from one to the other',
    '  verified to invalidated      host        0.50    0.50    0.50    0.50    0.50',
    '',
    'late      0 reads after the effect, 0 after the receipt',
    '          of 20 attempts after the effect:',
    '          reopen 5, held 5, mapped 5, watched 5',
    'bound     fails closed within the lease',
    '          promised 60 s, met 12.3 ms',
    'objective revoke p99 < 250ms: 12.3 ms, met',
    'clocks    one for all: exact to the microsecond',
    '',
    'PASSED',
  ]);
});

test('what went wrong is said, and who did not answer', () => {
  const late = hostTrial(A, 9000, {
    ways: ways(way(9000), { mapped: way(9000, { late: 2 }) }),
    clock: 'bounded',
    uncertaintyUs: 1500,
  });
  const table = lines(
    record([trial(1, [late], [B])], {
      sabotage: 'no-invalidate',
      aborted: true,
      warmUp: 3,
      participants: [
        { host: A, state: 'took-part' },
        { host: B, state: 'silent' },
        { host: 'c.example' as typeof A, state: 'refused', code: 'drill-off' },
      ],
    }),
  );
  expect(table[0]).toBe('Drill revoke: 1 trial after 3 to warm up, 1 host.');
  expect(table.slice(table.findIndex((line) => line.startsWith('silent')))).toEqual([
    'silent    b.example',
    'refused   c.example (drill-off)',
    'clocks    times of 1 host are upper bounds, at most 1.5 ms too late',
    '',
    'SABOTAGED, and must not pass: no-invalidate',
    'FAILED',
    '  demanded: all trials were made',
    '  found:    aborted after 1 trial',
    '  demanded: every host answered every trial',
    '  found:    not always: b.example',
    '  demanded: no read after the effect',
    '  found:    2 reads; 20 attempts after the effect',
  ]);
});

test('nothing measured is said as that, not as zero', () => {
  const table = lines(record([]), 'revoke p99 < 250ms');
  expect(table).toContain('          promised 60 s, not measured');
  expect(table).toContain('objective revoke p99 < 250ms: not measured, missed');
});

test('a row that has fewer values than others says how many', () => {
  const { struckToAnsweredUs: _, ...other } = hostTrial(A, 9000, { struckToAnsweredUs: 1 });
  const table = lines(
    record([trial(1, [hostTrial(A, 9000, { struckToAnsweredUs: 5000 })]), trial(2, [other])]),
  );
  expect(table.find((line) => line.includes('struck'))).toMatch(/^ {2}struck to answered \(1\) +host +5\.00/);
});

test('words', () => {
  expect([0, 0.414, 4.2, 48.25, 999.4, 999.5, 3021, 60_000, 3_600_000].map(milliseconds)).toEqual([
    '0 ms',
    '0.41 ms',
    '4.2 ms',
    '48.3 ms',
    '999 ms',
    '1 s',
    '3.02 s',
    '60 s',
    '3,600 s',
  ]);
  expect([0, 48.2, 9999.99, 12_345.6].map(fixed)).toEqual(['0.00', '48.20', '9999.99', '12346']);
  expect(['1', '1000', '12345678', '1234.5678'].map(grouped)).toEqual([
    '1',
    '1,000',
    '12,345,678',
    '1,234.5678',
  ]);
  expect([counted(1, 'host'), counted(1000, 'host')]).toEqual(['1 host', '1,000 hosts']);
  expect(names(['a', 'b', 'c'], 2)).toBe('a, b and 1 more');
});
