// A drill that never was, but might have been: hosts, trials and times by a seeded generator, so that a picture of it is always
// the same. What a test wants otherwise it changes in the record.
import type { HostName, RealmId } from '../../manifest/names.ts';
import type { DrillKind } from '../../manifest/realm/drill/order.ts';
import type { DrillRecord, HostTrial, Trial, WayTimes } from '../../manifest/realm/drill/report.ts';
import type { Way } from '../../manifest/realm/drill/statement.ts';

export interface Imagined {
  readonly kind?: DrillKind;
  readonly hosts?: number;
  readonly trials?: number;
  readonly seed?: number;
  readonly leaseSeconds?: number;
}

type Random = () => number;

export function imaginedRecord(options: Imagined = {}): DrillRecord {
  const { kind = 'revoke', hosts = 5, trials = 200, seed = 1, leaseSeconds = 60 } = options;
  const random = generator(seed);
  const names = Array.from({ length: hosts }, (_, i) => `web-${i + 1}.example` as HostName);
  const startedAt = Date.UTC(2026, 10, 27, 2, 10, 14);
  return {
    realm: '5c'.repeat(32) as RealmId,
    drill: '0123456789abcdef0123456789abcdef',
    kind,
    startedAt,
    endedAt: startedAt + trials * 212,
    warmUp: 10,
    leaseSeconds,
    environment: { lapse: '0.1.0', node: 'v24.21.0', kernel: '6.18.5', cpus: '2' },
    participants: names.map((host) => ({ host, state: 'took-part' as const })),
    trials: Array.from({ length: trials }, (_, i): Trial => {
      const common = commonStages(random);
      return {
        number: i + 1,
        version: i + 11,
        at: startedAt + i * 212,
        hosts: names.map((host, n) => hostTrial(kind, host, n, common, leaseSeconds, random)),
        missing: [],
      };
    }),
    aborted: false,
  };
}

/** The first moments are the same for every host. */
function commonStages(random: Random): { signed: number; committed: number } {
  const signed = step(random, 2100);
  return { signed, committed: signed + step(random, 1900) };
}

function hostTrial(
  kind: DrillKind,
  host: HostName,
  n: number,
  { signed, committed }: { signed: number; committed: number },
  leaseSeconds: number,
  random: Random,
): HostTrial {
  const isSlow = kind === 'partition' || kind === 'crash';
  const wait =
    kind === 'partition'
      ? leaseSeconds * 1e6 - 40_000
      : kind === 'crash'
        ? Math.round(900_000 * random())
        : 0;
  const pushed = committed + step(random, 320);
  const received = pushed + wait + n * 180 + step(random, random() < 0.02 ? 9000 : 700);
  const verified = received + step(random, 1300);
  const denied = verified + step(random, 140);
  const invalidated = denied + step(random, 260);
  const zeroed = verified + step(random, 60);
  const receiptSigned = invalidated + step(random, 420);
  const receiptStored = receiptSigned + step(random, 1700);
  const stages = {
    signed,
    committed,
    pushed,
    received,
    verified,
    denied,
    invalidated,
    zeroed,
    receiptSigned,
    receiptStored,
    receiptVerified: receiptStored + step(random, 600),
  };
  const before = (span: number): number => denied - Math.round(span * random());
  return {
    host,
    clock: n < 3 ? 'same' : 'bounded',
    uncertaintyUs: n < 3 ? 0 : step(random, 900),
    stages,
    ways: {
      reopen: way(before(90), 13, kind, random),
      held: way(before(90), 13, kind, random),
      mapped: way(invalidated - Math.round(110 * random()), 1000, kind, random),
      watched: way(before(600), 2, kind, random),
    } satisfies Record<Way, WayTimes>,
    readsAfterReceipt: 0,
    ...(kind === 'partition' ? { leaseUs: leaseSeconds * 1e6, cutToLastReadUs: invalidated - 21_000 } : {}),
    ...(isSlow && kind === 'crash' ? { struckToAnsweredUs: invalidated + step(random, 300_000) } : {}),
  };
}

function way(lastReadUs: number, errno: number, kind: DrillKind, random: Random): WayTimes {
  const attempts = 900 + Math.floor(random() * 300);
  return {
    attempts,
    reads: attempts - 400,
    late: 0,
    attemptsAfter: 380 + Math.floor(random() * 20),
    lastReadUs,
    firstDeniedUs: lastReadUs + step(random, 60),
    ...(kind === 'rotate' ? { firstNewUs: lastReadUs + step(random, 900) } : {}),
    errno,
  };
}

/** Microseconds around a median, seldom much more: as waiting for a processor, a disk or a network is. */
function step(random: Random, median: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.max(1, Math.round(median * Math.exp(0.28 * normal)));
}

/** mulberry32: the same numbers for the same seed, between 0 and 1. */
function generator(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
