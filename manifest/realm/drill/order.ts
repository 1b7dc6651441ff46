// A drill's order: the signed member `drill` of the role `drill`, by which hosts learn that they are asked to practise. It
// travels and is verified like every other word of a namespace, so it needs that namespace's signers, cannot be replayed,
// and only one stands at a time. It names a canary and a probe, never a real secret; a host that has not opted in refuses.
import { ManifestError } from '../../errors.ts';
import type { Json, JsonObject } from '../../json.ts';
import { parseHostName, parseNamespace, parseSecretName, parseWorkload } from '../../names.ts';
import type { HostName, Workload } from '../../names.ts';
import { array, formatInstant, hex, instant, integer, object, string } from '../../shape.ts';
import type { Verified } from '../../tuf/metadata.ts';
import type { Targets } from '../../tuf/targets.ts';

/** The reserved namespace, and the one secret that drills publish in it. */
export const DRILL = parseNamespace('drill');
export const CANARY = parseSecretName('canary');
/** The workload of probes that `lapsed` starts itself, and the file that it sees. */
export const PROBE = parseWorkload('lapse-probe');

export const DRILL_KINDS = ['revoke', 'rotate', 'workload', 'partition', 'crash'] as const;
export type DrillKind = (typeof DRILL_KINDS)[number];

/** What a crash drill does to the server of the host, and how: SIGKILL or SIGSTOP. */
export const CRASH_VICTIMS = ['server', 'thread', 'holder'] as const;
export type CrashVictim = (typeof CRASH_VICTIMS)[number];
export const CRASH_MEANS = ['kill', 'stop'] as const;
export type CrashMeans = (typeof CRASH_MEANS)[number];

export const DRILL_LIMITS = {
  hosts: 1000,
  /** Warm-up included. */
  trials: 10_000,
  /** How long an order may stand, in seconds. */
  seconds: 24 * 3600,
  /** How long a probe is watched after the effect, in milliseconds. */
  settleMs: { least: 10, most: 10_000 },
  /** How long after a trial's beginning a crash may come, in milliseconds. */
  withinMs: 10_000,
} as const;

export interface CrashOrder {
  readonly victims: readonly CrashVictim[];
  readonly means: readonly CrashMeans[];
  /** The crash comes at a random moment within so many milliseconds after the host has said `armed`. */
  readonly withinMs: number;
}

export interface DrillOrder {
  /** 16 random bytes, in hexadecimal. */
  readonly id: string;
  readonly kind: DrillKind;
  /** Who takes part. */
  readonly hosts: readonly HostName[];
  /** Whom the canary is granted to: PROBE, or a container that the hosts' operators chose. */
  readonly workload: Workload;
  /** Warm-up included: what it costs of a host's daily cap. */
  readonly trials: number;
  /** Milliseconds since the epoch, by the wall clock: a probe never lives longer. */
  readonly until: number;
  /** How long a probe is watched after the effect, in milliseconds. */
  readonly settleMs: number;
  /** With `crash` only. */
  readonly crash?: CrashOrder;
}

/** The member `drill` of the role's signed part; no order stands where it is absent or null. */
export function orderJson({ until, crash, ...order }: DrillOrder): JsonObject {
  return {
    ...order,
    until: formatInstant(until),
    ...(crash ? { crash: { ...crash } } : {}),
  };
}

/** @throws ManifestError drill-refused and the readers' codes */
export function readOrder({ raw }: Pick<Verified<Targets>, 'raw'>): DrillOrder | undefined {
  const value = raw['drill'];
  if (value === undefined || value === null) return undefined;
  const order = object(value, 'drill');
  const kind = oneOf(order['kind'], DRILL_KINDS, 'drill.kind');
  const hosts = array(order['hosts'], 'drill.hosts', DRILL_LIMITS.hosts).map((host) =>
    parseHostName(string(host, 'drill.hosts')),
  );
  const { least, most } = DRILL_LIMITS.settleMs;
  if ((kind === 'crash') !== (order['crash'] !== undefined))
    throw new ManifestError(
      'drill-refused',
      'an order says how to crash when it is a crash drill, and else not',
    );
  return {
    id: hex(order['id'], 'drill.id', 16),
    kind,
    hosts,
    workload: parseWorkload(string(order['workload'], 'drill.workload')),
    trials: integer(order['trials'], 'drill.trials', 1, DRILL_LIMITS.trials),
    until: instant(order['until'], 'drill.until'),
    settleMs: integer(order['settleMs'], 'drill.settleMs', least, most),
    ...(kind === 'crash' ? { crash: readCrash(order['crash']) } : {}),
  };
}

function readCrash(value: Json | undefined): CrashOrder {
  const raw = object(value, 'drill.crash');
  const some = <T extends string>(name: string, known: readonly T[]): readonly T[] => {
    const found = array(raw[name], `drill.crash.${name}`, known.length).map((each) =>
      oneOf(each, known, `drill.crash.${name}`),
    );
    if (found.length === 0) throw new ManifestError('drill-refused', `drill.crash.${name}: at least one`);
    return found;
  };
  return {
    victims: some('victims', CRASH_VICTIMS),
    means: some('means', CRASH_MEANS),
    withinMs: integer(raw['withinMs'], 'drill.crash.withinMs', 0, DRILL_LIMITS.withinMs),
  };
}

/** @throws ManifestError drill-refused */
export function oneOf<T extends string>(value: Json | undefined, known: readonly T[], where: string): T {
  const found = known.find((each) => each === value);
  if (found !== undefined) return found;
  throw new ManifestError('drill-refused', `${where}: one of ${known.join(', ')} expected`);
}
