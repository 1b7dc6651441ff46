// From a drill's record to its figures and its verdict. It computes and nothing else: whoever has the record gets the same summary,
// and the hash in it says which record that was.
import { canonicalJson } from '../../manifest/canonical-json.ts';
import type { Json } from '../../manifest/json.ts';
import type { HostName } from '../../manifest/names.ts';
import type { DrillRecord, DrillSummary, HostTrial, Spread } from '../../manifest/realm/drill/report.ts';
import { WAYS } from '../../manifest/realm/drill/statement.ts';
import { sha256 } from '../../manifest/tuf/metadata.ts';
import { boundOf } from './bound.ts';
import { checksOf } from './checks.ts';
import { valuesOf } from './figures.ts';
import { judge } from './slo.ts';
import type { Slo } from './slo.ts';
import { spreadOf } from './spread.ts';

/**
 * Sabotage changes no figure and no verdict: whoever sabotages a drill wants to see that the figures betray it.
 * @throws ManifestError json-not-canonical, where a time of the record is no whole number
 */
export function summarize(record: DrillRecord, slos: readonly Slo[]): DrillSummary {
  const { realm, drill, kind, startedAt, endedAt, trials } = record;
  const ms = spreads(record);
  const figures = {
    realm,
    drill,
    kind,
    startedAt,
    endedAt,
    trials: trials.length,
    hosts: record.participants.filter(({ state }) => state === 'took-part').length,
    silent: silentOf(record),
    ms,
    readsAfterEffect: total(record, ({ ways }) => WAYS.reduce((sum, way) => sum + ways[way].late, 0)),
    readsAfterReceipt: total(record, ({ readsAfterReceipt }) => readsAfterReceipt),
    attemptsAfter: total(record, ({ ways }) => WAYS.reduce((sum, way) => sum + ways[way].attemptsAfter, 0)),
    bound: boundOf(record, ms),
    slo: slos.map((slo) => judge(slo, kind, ms)),
    recordSha256: sha256(canonicalRecord(record)),
  };
  return { ...figures, pass: checksOf(record, figures).every(({ passed }) => passed) };
}

/** The bytes that a summary's `recordSha256` is of. */
function canonicalRecord(record: DrillRecord): Uint8Array {
  return canonicalJson(JSON.parse(JSON.stringify(record)) as Json);
}

function spreads(record: DrillRecord): Readonly<Record<string, Spread>> {
  return Object.fromEntries([...valuesOf(record)].map(([name, values]) => [name, spreadOf(values)]));
}

/** Whoever did not answer when it was asked, or is missing in some trial, with or without a word about it. */
function silentOf({ participants, trials }: DrillRecord): readonly HostName[] {
  const expected = participants.filter(({ state }) => state === 'took-part').map(({ host }) => host);
  const silent = new Set(participants.filter(({ state }) => state === 'silent').map(({ host }) => host));
  for (const { hosts, missing } of trials) {
    const here = new Set(hosts.map(({ host }) => host));
    for (const host of [...missing, ...expected.filter((each) => !here.has(each))]) silent.add(host);
  }
  return [...silent].sort();
}

function total({ trials }: DrillRecord, count: (trial: HostTrial) => number): number {
  return trials.reduce((sum, { hosts }) => hosts.reduce((part, host) => part + count(host), sum), 0);
}
