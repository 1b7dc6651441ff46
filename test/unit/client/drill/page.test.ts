// The report's page as text: well-formed, complete, without a way out or in, and the same for whoever computes it again.
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { reportPage } from '../../../../client/drill/html/page.ts';
import { parseSlo } from '../../../../client/drill/slo.ts';
import { summarize } from '../../../../client/drill/summary.ts';
import { canonicalJson } from '../../../../manifest/canonical-json.ts';
import type { Json } from '../../../../manifest/json.ts';
import type { HostName } from '../../../../manifest/names.ts';
import { DRILL_KINDS } from '../../../../manifest/realm/drill/order.ts';
import type { DrillRecord, DrillSummary } from '../../../../manifest/realm/drill/report.ts';
import { sha256 } from '../../../../manifest/tuf/metadata.ts';
import { imaginedRecord } from '../../../support/drill-record.ts';
import { A, B, hostTrial, record, trial, way, ways } from './records.ts';
import { wellFormed } from './well-formed.ts';

const page = (of: DrillRecord, ...slos: string[]): string =>
  reportPage(summarize(of, slos.map(parseSlo)), of);
const count = (text: string, part: string): number => text.split(part).length - 1;
const dataOf = (text: string): { summary: DrillSummary; record?: DrillRecord } =>
  JSON.parse(/<script type="application\/json" id="data">(.*)<\/script>/.exec(text)?.[1] ?? '') as never;

test.for(DRILL_KINDS)('%s: well-formed, and the data are whole', (kind) => {
  const of = imaginedRecord({ kind, trials: 20, leaseSeconds: 3 });
  const text = page(of, `${kind} p99 < 5s`);
  wellFormed(text, ['meta']);
  expect(text).toContain('<h1>Passed</h1>');
  expect(count(text, 'class="dots"')).toBe(5);
  const { summary, record: kept } = dataOf(text);
  expect(kept).toEqual(of);
  expect(sha256(canonicalJson(kept as unknown as Json))).toBe(summary.recordSha256);
  expect(text).not.toMatch(/NaN|undefined|Infinity/);
});

test('no picture breaks where there is little to draw', () => {
  const { lastReadUs: _, ...unread } = way(1);
  const untold = hostTrial(A, 9000, { stages: {}, ways: ways(unread) });
  for (const of of [
    record([]),
    record([trial(1, [])], { participants: [] }),
    record([trial(1, [hostTrial(A, 0)])]),
    record([trial(1, [hostTrial(A, 9000)])]),
    record([trial(1, [untold])]),
    record([trial(1, [hostTrial(A, 1)]), trial(2, [hostTrial(A, 50_000_000)], [B])]),
  ]) {
    const text = page(of);
    wellFormed(text, ['meta']);
    expect(text).not.toMatch(/NaN|undefined|Infinity/);
  }
});

test('the policy allows its own style and script by their hashes, and nothing else', () => {
  const text = page(record([trial(1, [hostTrial(A, 9000)])]));
  const [, policy = ''] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(text) ?? [];
  const hash = (element: string): string => {
    const [, content = ''] = new RegExp(`<${element}>([^]*?)</${element}>`).exec(text) ?? [];
    return `'sha256-${createHash('sha256').update(content).digest('base64')}'`;
  };
  expect(policy).toBe(
    `default-src 'none'; style-src ${hash('style')}; script-src ${hash('script')}; base-uri 'none'; form-action 'none'`,
  );
  expect(text).not.toMatch(/\s(?:style|on[a-z]+|src|href)=/);
  expect(text).not.toMatch(/url\(|@import|https?:/);
});

test('whatever a host writes stays text, in markup and in data', () => {
  const nasty = `</script><script>alert(1)</script><img src=x onerror="a">'&` as HostName;
  const of = record([trial(1, [{ ...hostTrial(nasty, 9000), clock: 'bounded' }], [nasty])], {
    participants: [
      { host: nasty, state: 'took-part' },
      { host: B, state: 'refused', code: nasty },
    ],
    environment: { [nasty]: nasty },
    sabotage: nasty,
  });
  const text = page(of);
  wellFormed(text, ['meta']);
  expect(count(text, '<script')).toBe(2);
  expect(text).not.toContain('<img');
  expect(dataOf(text).record).toEqual(of);
});

test('sabotage is said at the top, and so is a control that has failed', () => {
  const late = hostTrial(A, 9000, { ways: ways(way(9000), { mapped: way(9000, { late: 3 }) }) });
  const caught = page(record([trial(1, [late])], { sabotage: 'no-invalidate' }));
  expect(caught).toContain('no-invalidate. This drill must not pass. It failed, as it must.');
  expect(caught).toContain('<h1>Failed</h1>');
  expect(count(caught, 'class="late"')).toBe(1);
  expect(caught).toMatch(/<path d="M[^"]+l8 8m0 -8l-8 8" class="late">/);
  const passed = page(record([trial(1, [hostTrial(A, 9000)])], { sabotage: 'no-invalidate' }));
  expect(passed).toContain('It passed: the control has failed.');
  expect(page(record([trial(1, [hostTrial(A, 9000)])]))).not.toContain('class="sabotage"');
});

test('many hosts: the slowest have strips, and it says how many have none', () => {
  const hosts = Array.from({ length: 60 }, (_, i) => hostTrial(`h${i}` as HostName, 9000 + i));
  const text = page(
    record([trial(1, hosts)], { participants: hosts.map(({ host }) => ({ host, state: 'took-part' })) }),
  );
  expect(count(text, 'class="dots"')).toBe(40);
  expect(text).toContain('20 hosts with earlier last reads are left out');
  expect(text).toContain('the slowest 8 of 60 hosts');
  expect(text).not.toContain('>h19</text>');
  expect(text).toContain('>h20</text>');
});

test('many trials: dots and steps are limited, and the last value is among them', () => {
  const trials = Array.from({ length: 3000 }, (_, i) => trial(i + 1, [hostTrial(A, 5000 + i)]));
  const text = page(record(trials));
  const [, dots = ''] = /<path d="([^"]*)" class="dots">/.exec(text) ?? [];
  expect(count(dots, 'M')).toBe(1000);
  const [, curve = ''] =
    /<path d="([^"]*)" class="curve held">/.exec(text.slice(text.indexOf('distribution-title'))) ?? [];
  expect(count(curve, 'H')).toBeLessThan(420);
  expect(curve).toMatch(/V14$/);
});
