// Records made by hand, small enough to compute in one's head.
import type { HostName, RealmId } from '../../../../manifest/names.ts';
import type { DrillRecord, HostTrial, Trial, WayTimes } from '../../../../manifest/realm/drill/report.ts';
import { WAYS } from '../../../../manifest/realm/drill/statement.ts';
import type { Way } from '../../../../manifest/realm/drill/statement.ts';

export const A = 'a.example' as HostName;
export const B = 'b.example' as HostName;

export function way(lastReadUs: number, changed: Partial<WayTimes> = {}): WayTimes {
  return {
    attempts: 20,
    reads: 10,
    late: 0,
    attemptsAfter: 5,
    lastReadUs,
    firstDeniedUs: lastReadUs + 50,
    errno: 13,
    ...changed,
  };
}

export function hostTrial(host: HostName, lastReadUs: number, changed: Partial<HostTrial> = {}): HostTrial {
  return {
    host,
    clock: 'same',
    uncertaintyUs: 0,
    stages: { signed: 1000, committed: 2000, verified: lastReadUs - 400, invalidated: lastReadUs + 100 },
    ways: ways(way(lastReadUs)),
    readsAfterReceipt: 0,
    ...changed,
  };
}

export function ways(each: WayTimes, changed: Partial<Record<Way, WayTimes>> = {}): HostTrial['ways'] {
  const all = Object.fromEntries(WAYS.map((name) => [name, each])) as Record<Way, WayTimes>;
  return { ...all, ...changed };
}

export function trial(number: number, hosts: readonly HostTrial[], missing: readonly HostName[] = []): Trial {
  return { number, version: number, at: 1_000_000 + number, hosts, missing };
}

export function record(trials: readonly Trial[], changed: Partial<DrillRecord> = {}): DrillRecord {
  return {
    realm: 'ab'.repeat(32) as RealmId,
    drill: 'cd'.repeat(16),
    kind: 'revoke',
    startedAt: 1_000_000,
    endedAt: 1_002_000,
    warmUp: 0,
    leaseSeconds: 60,
    environment: { node: 'v24' },
    participants: [{ host: A, state: 'took-part' }],
    trials,
    aborted: false,
    ...changed,
  };
}
