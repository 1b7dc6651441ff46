// The reports of drills that the service keeps, each verified here with the keys that may order drills now. The service is not
// believed: what does not verify says why, and a drill that is told twice counts once.
import { isLapseError } from '../../manifest/errors.ts';
import { KEPT_LIMITS } from '../../manifest/realm/drill/kept-report.ts';
import type { KeptReport } from '../../manifest/realm/drill/kept-report.ts';
import { DRILL } from '../../manifest/realm/drill/order.ts';
import { verifyReport } from '../../manifest/realm/drill/signed-report.ts';
import type { SignedReport } from '../../manifest/realm/drill/signed-report.ts';
import type { RoleKeys } from '../../manifest/tuf/keys.ts';
import { roleKeys } from '../../manifest/tuf/trusted-set.ts';
import type { RealmState } from '../reading.ts';
import type { Session } from './session.ts';

export interface VerifiedReport extends KeptReport {
  readonly report: SignedReport;
}

export interface UnverifiedReport extends KeptReport {
  readonly code: string;
  readonly why: string;
}

/** Oldest first, by the drill's end as far as it is known. */
export async function keptReports(session: Session): Promise<readonly (VerifiedReport | UnverifiedReport)[]> {
  const known = new Set<string>();
  const found: (VerifiedReport | UnverifiedReport)[] = [];
  for await (const kept of fetched(session)) {
    const read = verified(kept, session);
    const drill = 'report' in read ? read.report.summary.drill : undefined;
    const isTwice = drill !== undefined && known.has(drill);
    found.push(isTwice ? { ...kept, code: 'drill-exists', why: 'the same drill once more' } : read);
    if (drill !== undefined) known.add(drill);
  }
  return found.sort((a, b) => endOf(a) - endOf(b));
}

/** Any one of them may sign a report. @throws ManifestError role-unknown: the realm has no such namespace */
export function drillKeys({ set }: RealmState): RoleKeys['keys'] {
  return roleKeys(set, DRILL).keys;
}

async function* fetched({ transport }: Session): AsyncGenerator<KeptReport> {
  let [after, count] = [0, 0];
  do {
    const { drills, last } = await transport.drills(after);
    yield* drills;
    count += drills.length;
    after = drills.at(-1)?.id ?? last;
    if (after >= last) return;
    // A service that keeps to its own rule never gets here.
  } while (count < KEPT_LIMITS.most);
}

function verified(kept: KeptReport, { state, updater }: Session): VerifiedReport | UnverifiedReport {
  try {
    return { ...kept, report: verifyReport(kept.jws, drillKeys(state), updater.realm) };
  } catch (error) {
    if (!isLapseError(error)) throw error;
    return { ...kept, code: error.code, why: error.message };
  }
}

function endOf(entry: VerifiedReport | UnverifiedReport): number {
  return 'report' in entry ? entry.report.summary.endedAt : entry.at;
}
