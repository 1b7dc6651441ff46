// A drill's summary for those who only keep, sign and list it: figures that nobody measured.
import { parseRealmId } from '../../manifest/names.ts';
import type { DrillSummary } from '../../manifest/realm/drill/report.ts';

export function drillSummary(change: Partial<DrillSummary> = {}): DrillSummary {
  return {
    realm: parseRealmId('5f'.repeat(32)),
    drill: '0c'.repeat(16),
    kind: 'revoke',
    startedAt: 1_790_000_000_000,
    endedAt: 1_790_000_060_000,
    trials: 20,
    hosts: 2,
    silent: [],
    ms: { zeroToLastRead: { count: 40, p50: 8.125, p90: 9, p99: 11.5, p999: 11.75, max: 11.75 } },
    readsAfterEffect: 0,
    readsAfterReceipt: 0,
    attemptsAfter: 81_234,
    bound: { text: 'fails closed within the lease', promisedMs: 600_000, metMs: 11.75, met: true },
    slo: [{ text: 'revoke p99 < 250ms', met: true, valueMs: 11.5 }],
    pass: true,
    recordSha256: 'ab'.repeat(32),
    ...change,
  };
}
