// What each kind of drill promises (docs/threat-model.md), and whether the worst of all trials kept it. The lease is what a host
// may serve without news; a promise counts as kept only where every host of every trial was measured.
import type { Bound, DrillRecord, Spread } from '../../manifest/realm/drill/report.ts';
import type { DrillKind } from '../../manifest/realm/drill/order.ts';

/** How long after its lease a host that is cut off may take: it looks at its leases every 100 ms. */
const AFTER_LEASE_MS = 500;
/** A silent server counts as dead after 1 s (`dead_after` by default), and the next one has 15 s to begin. */
const HOLDER_MS = 16_000;

interface Promised {
  readonly text: string;
  /** Beyond the lease. */
  readonly ms: number;
  /** The figure that must stay below. */
  readonly figure: string;
}

const IN_TIME: Promised = { text: 'fails closed within the lease', ms: 0, figure: 'zeroToLastRead' };

const PROMISED: Readonly<Record<DrillKind, Promised>> = {
  revoke: IN_TIME,
  rotate: IN_TIME,
  workload: IN_TIME,
  partition: {
    text: 'cut off, it fails closed within the lease and 0.5 s',
    ms: AFTER_LEASE_MS,
    figure: 'cutToLastRead',
  },
  crash: {
    text: "struck, it fails closed within the lease and the holder's 16 s",
    ms: HOLDER_MS,
    figure: 'zeroToLastRead',
  },
};

/** The figure by which a kind of drill is judged, and which an objective means that names the kind alone. */
export function figureOf(kind: DrillKind): string {
  return PROMISED[kind].figure;
}

export function boundOf(
  { kind, leaseSeconds, trials }: Pick<DrillRecord, 'kind' | 'leaseSeconds' | 'trials'>,
  ms: Readonly<Record<string, Spread>>,
): Bound {
  const { text, ms: beyond, figure } = PROMISED[kind];
  const promisedMs = leaseSeconds * 1000 + beyond;
  const worst = ms[figure];
  const all = trials.reduce((sum, { hosts }) => sum + hosts.length, 0);
  if (!worst) return { text, promisedMs, met: false };
  return { text, promisedMs, metMs: worst.max, met: worst.count === all && worst.max <= promisedMs };
}
