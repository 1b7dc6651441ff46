// What a probe saw of one version in one way, as a host's statement says it.
import { WAYS } from '../../manifest/realm/drill/statement.ts';
import type { Way, WayRecord } from '../../manifest/realm/drill/statement.ts';
import type { WaySeen } from './page.ts';

export type WaysSeen = Readonly<Record<Way, WaySeen>>;

/** `hash` is that of the version; one that a way never read has no reads and no moments. */
export function wayRecords(seen: WaysSeen, hash: bigint): Readonly<Record<Way, WayRecord>> {
  const records = WAYS.map((way) => [way, wayRecord(seen[way], hash)] as const);
  return Object.fromEntries(records) as Record<Way, WayRecord>;
}

function wayRecord({ current, previous, late, attemptsAfter, errno }: WaySeen, hash: bigint): WayRecord {
  const value = [current, previous].find((each) => each?.hash === hash);
  const next = value !== undefined && value === previous ? current : undefined;
  return {
    attempts: value?.attempts ?? 0,
    reads: value?.reads ?? 0,
    late,
    attemptsAfter,
    ...(value && { lastRead: microseconds(value.lastRead.end) }),
    ...(value?.refused && { firstDenied: microseconds(value.refused.start) }),
    ...(next && { firstNew: microseconds(next.firstRead.end) }),
    errno,
  };
}

function microseconds(nanoseconds: bigint): number {
  return Number(nanoseconds / 1000n);
}
