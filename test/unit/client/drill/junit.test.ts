// JUnit: well-formed whatever hosts are called, and its counts are those of its cases.
import { expect, test } from 'vitest';
import { junitReport } from '../../../../client/drill/junit.ts';
import { parseSlo } from '../../../../client/drill/slo.ts';
import { summarize } from '../../../../client/drill/summary.ts';
import type { HostName } from '../../../../manifest/names.ts';
import type { DrillRecord } from '../../../../manifest/realm/drill/report.ts';
import { A, B, hostTrial, record, trial } from './records.ts';
import { wellFormed } from './well-formed.ts';

const report = (of: DrillRecord, ...slos: string[]): string =>
  junitReport(summarize(of, slos.map(parseSlo)), of);
const count = (text: string, part: string): number => text.split(part).length - 1;

test('a case for each thing demanded, each objective and each host', () => {
  const text = report(record([trial(1, [hostTrial(A, 9000)])]), 'revoke p99 < 250ms', 'revoke max < 1ms');
  wellFormed(text);
  expect(text).toContain(
    '<testsuite name="lapse drill revoke" tests="10" failures="1" errors="0" skipped="0" time="2"',
  );
  expect(count(text, '<testcase ')).toBe(10);
  expect(text).toContain('name="revoke max &lt; 1ms" time="0"><failure message="9 ms"></failure></testcase>');
  expect(text).toContain('name="a.example" time="0"></testcase>');
  expect(text).toContain('<property name="node" value="v24"></property>');
});

test('hosts that refused are skipped, silent ones fail', () => {
  const text = report(
    record([trial(1, [hostTrial(A, 9000)])], {
      participants: [
        { host: A, state: 'took-part' },
        { host: B, state: 'silent' },
        { host: 'c.example' as HostName, state: 'refused', code: 'drill-off' },
      ],
    }),
  );
  wellFormed(text);
  expect(text).toContain('tests="10" failures="2" errors="0" skipped="1"');
  expect(text).toContain(
    'name="b.example" time="0"><failure message="it did not answer, or not always"></failure>',
  );
  expect(text).toContain('name="c.example" time="0"><skipped message="drill-off"></skipped>');
});

test('whatever a host writes stays text', () => {
  const host = `"/><script>'&]]>\u0000\u001b` as HostName;
  const text = report(
    record([trial(1, [hostTrial(host, 9000)])], {
      participants: [
        { host, state: 'took-part' },
        { host: B, state: 'refused', code: host },
      ],
      environment: { [host]: host },
      sabotage: host,
    }),
  );
  wellFormed(text);
  expect(text).not.toContain('<script');
  expect(text).toContain('name="&quot;/&gt;&lt;script&gt;&#39;&amp;]]&gt;??"');
});

test('an empty drill is a report, too', () => {
  const text = report(record([], { participants: [] }));
  wellFormed(text);
  expect(text).toContain('failures="3"');
});
