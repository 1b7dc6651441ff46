// The rows in which a report shows its figures, in the terminal and on the page: what a person calls each, and whose clock it
// is read from. A drill has only some of them.
import { STAGES, STAGE_CLOCKS } from '../../manifest/realm/drill/report.ts';
import type { DrillSummary, Spread, Stage } from '../../manifest/realm/drill/report.ts';
import { WAYS } from '../../manifest/realm/drill/statement.ts';
import { firstDeniedFigure, lastReadFigure, stageFigure } from './figures.ts';

export interface Row {
  readonly label: string;
  readonly clock: 'command' | 'service' | 'host';
  readonly figure: string;
}

export const STAGE_LABELS: Readonly<Record<Stage, string>> = {
  signed: 'signed',
  committed: 'committed',
  pushed: 'pushed',
  received: 'received',
  verified: 'verified',
  denied: 'denied in the daemon',
  invalidated: 'kernel invalidated',
  zeroed: 'key and value zeroed',
  receiptSigned: 'receipt signed',
  receiptStored: 'receipt stored',
  receiptVerified: 'receipt verified',
};

interface Group {
  readonly heading: string;
  readonly rows: readonly Row[];
}

const GROUPS: readonly Group[] = [
  {
    heading: 'stages',
    rows: STAGES.map((stage) => ({
      label: STAGE_LABELS[stage],
      clock: STAGE_CLOCKS[stage],
      figure: stageFigure(stage),
    })),
  },
  {
    heading: 'seen by the probes',
    rows: [
      host('last read', 'zeroToLastRead'),
      ...WAYS.map((way) => host(`last read, ${way}`, lastReadFigure(way))),
      ...WAYS.map((way) => host(`first denied, ${way}`, firstDeniedFigure(way))),
      host('first read of the new', 'zeroToFirstNew'),
    ],
  },
  {
    heading: 'from one to the other',
    rows: [
      host('verified to invalidated', 'verifiedToInvalidated'),
      host('cut off to last read', 'cutToLastRead'),
      host('struck to answered', 'struckToAnswered'),
    ],
  },
];

/** Those that were measured, each with its spread; a group without any is left out. */
export function measuredRows({
  ms,
}: Pick<DrillSummary, 'ms'>): readonly { heading: string; rows: readonly (Row & { spread: Spread })[] }[] {
  return GROUPS.map(({ heading, rows }) => ({
    heading,
    rows: rows.flatMap((row) => {
      const spread = ms[row.figure];
      return spread ? [{ ...row, spread }] : [];
    }),
  })).filter(({ rows }) => rows.length > 0);
}

function host(label: string, figure: string): Row {
  return { label, clock: 'host', figure };
}
