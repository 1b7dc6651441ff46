// A drill's report as JUnit XML, which every CI shows: one suite, a case for each thing that is demanded and for each host.
// Format: https://github.com/testmoapp/junitxml (there is no other standard than what readers accept).
import type { DrillRecord, DrillSummary, Participant } from '../../manifest/realm/drill/report.ts';
import { checksOf } from './checks.ts';
import { element } from './markup.ts';

interface Case {
  readonly group: string;
  readonly name: string;
  readonly failure?: string;
  readonly skipped?: string;
}

export function junitReport(summary: DrillSummary, record: DrillRecord): string {
  const cases = [...demanded(summary, record), ...record.participants.map((each) => hostCase(each, summary))];
  const name = `lapse drill ${summary.kind}`;
  const counts = {
    tests: cases.length,
    failures: cases.filter(({ failure }) => failure !== undefined).length,
    errors: 0,
    skipped: cases.filter(({ skipped }) => skipped !== undefined).length,
    time: (summary.endedAt - summary.startedAt) / 1000,
  };
  const timestamp = new Date(summary.startedAt).toISOString().slice(0, 19);
  const suite = element(
    'testsuite',
    { name, ...counts, timestamp },
    `\n${properties(summary, record)}\n`,
    ...cases.map((each) => `${testCase(name, each)}\n`),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element('testsuites', { name, ...counts }, `\n${suite}\n`)}\n`;
}

function demanded(summary: DrillSummary, record: DrillRecord): readonly Case[] {
  return checksOf(record, summary).map(({ name, passed, found }) => ({
    group: 'demanded',
    name,
    ...(passed ? {} : { failure: found }),
  }));
}

/** A host that has not opted in is no failure of the drill, but was not drilled either. */
function hostCase({ host, state, code }: Participant, { silent }: DrillSummary): Case {
  const common = { group: 'hosts', name: host };
  if (state === 'refused') return { ...common, skipped: code ?? 'refused' };
  return silent.includes(host) ? { ...common, failure: 'it did not answer, or not always' } : common;
}

function testCase(suite: string, { group, name, failure, skipped }: Case): string {
  return element(
    'testcase',
    { classname: `${suite} ${group}`, name, time: 0 },
    failure === undefined ? '' : element('failure', { message: failure }),
    skipped === undefined ? '' : element('skipped', { message: skipped }),
  );
}

function properties(summary: DrillSummary, { environment, sabotage }: DrillRecord): string {
  const all: Readonly<Record<string, string | number>> = {
    ...environment,
    realm: summary.realm,
    drill: summary.drill,
    trials: summary.trials,
    recordSha256: summary.recordSha256,
    ...(sabotage === undefined ? {} : { sabotage }),
  };
  return element(
    'properties',
    {},
    ...Object.entries(all).map(([name, value]) => element('property', { name, value })),
  );
}
