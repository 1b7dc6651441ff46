// What a host says of a drill, signed with its own key (JWS, EdDSA) and posted where its receipts go: that it takes no part,
// that its probe reads a version of the canary in all four ways, and what became of that version, with every moment that the
// host knows. Moments are microseconds of the host's CLOCK_MONOTONIC; `boot` says whose clock that is.
import type { KeyObject } from 'node:crypto';
import type { Json, JsonObject } from '../../json.ts';
import { LIMITS } from '../../limits.ts';
import { parseHostName, parseRealmId } from '../../names.ts';
import type { HostName, RealmId } from '../../names.ts';
import { hex, integer, object, string } from '../../shape.ts';
import { claimedType, printable, refusedWord, signWord, verifyWord } from '../host-word.ts';
import type { WordKind } from '../host-word.ts';
import type { HostRecord } from '../hosts.ts';

const STATEMENT: WordKind = {
  noun: "a drill's statement",
  purpose: 'lapse-drill',
  typ: 'lapse-drill+jws',
  most: LIMITS.statementBytes,
  code: 'drill-refused',
};

/** How a probe reads: opening by name, a descriptor held open, a private mapping, and whenever inotify speaks (and every 10 ms). */
export const WAYS = ['reopen', 'held', 'mapped', 'watched'] as const;
export type Way = (typeof WAYS)[number];

/** Moments on the host, in the order in which they come. */
export const HOST_MOMENTS = [
  /** The service's own clock, when the event left it; `serviceBoot` says whose. Not signed by the service. */
  'pushed',
  'received',
  'verified',
  /** The serving thread has the table without it: whoever asks is refused. */
  'denied',
  /** The last notification to the kernel has returned: no page, no name is left. */
  'invalidated',
  /** Its key and plaintext are zero in the arena, and nobody copies from them. */
  'zeroed',
  'receiptSigned',
  /** In a partition: from when on the host hears nothing of the drill's namespace, and when its lease ends. */
  'cut',
  'leaseEnd',
  /** In a crash: when the victim was struck, and when a reader was answered again. */
  'struck',
  'answered',
] as const;
export type HostMoment = (typeof HOST_MOMENTS)[number];

/** What the probe saw of one version in one way. */
export interface WayRecord {
  /** Attempts and successful reads, since the version was there. */
  readonly attempts: number;
  readonly reads: number;
  /** Successful reads of it that began after the effect (`invalidated`; in a partition, 0.5 s after `leaseEnd`). */
  readonly late: number;
  /** Attempts after the effect: the control of `late`. */
  readonly attemptsAfter: number;
  /** When the last successful read of it ended, the first refusal after that began, and the first read of the next version ended. */
  readonly lastRead?: number;
  readonly firstDenied?: number;
  readonly firstNew?: number;
  /** Of the last refusal: an errno, or 1000 for SIGBUS. */
  readonly errno: number;
}

interface Common {
  readonly realm: RealmId;
  readonly host: HostName;
  /** The kernel's boot id. */
  readonly boot: string;
  /** The order's id. */
  readonly drill: string;
}

export interface Refused extends Common {
  readonly kind: 'refused';
  /** `drill-off`, `drill-cap`, `probe-failed`, `drill-busy`. */
  readonly code: string;
}

export interface Armed extends Common {
  readonly kind: 'armed';
  /** Of the canary. */
  readonly version: number;
}

export interface Observed extends Common {
  readonly kind: 'observed';
  readonly version: number;
  readonly moments: Readonly<Partial<Record<HostMoment, number>>>;
  /** Whose clock `pushed` is. */
  readonly serviceBoot?: string;
  readonly ways: Readonly<Record<Way, WayRecord>>;
}

export type DrillStatement = Refused | Armed | Observed;

/** A compact JWS. `kid` is the thumbprint of the host's signing key. */
export function signStatement(statement: DrillStatement, key: KeyObject, kid: string): Promise<string> {
  return signWord(STATEMENT, statementJson(statement), key, kid);
}

/** @throws ManifestError drill-refused: not signed by that host, or not of that realm; and the readers' codes */
export async function verifyStatement(
  jws: string,
  host: HostRecord,
  realm: RealmId,
): Promise<DrillStatement> {
  const statement = readStatement(await verifyWord(STATEMENT, jws, host));
  if (statement.host === host.name && statement.realm === realm) return statement;
  throw refusedWord(STATEMENT, 'it is of another host or realm');
}

/** Whether a JWS claims to be a statement; nothing is verified by it. */
export function isStatement(jws: string): boolean {
  return claimedType(jws) === STATEMENT.typ;
}

function statementJson(statement: DrillStatement): JsonObject {
  if (statement.kind !== 'observed') return { ...statement };
  const ways = Object.fromEntries(WAYS.map((way) => [way, { ...statement.ways[way] }]));
  return { ...statement, moments: { ...statement.moments }, ways };
}

function readStatement(raw: JsonObject): DrillStatement {
  const common: Common = {
    realm: parseRealmId(string(raw['realm'], 'statement.realm')),
    host: parseHostName(string(raw['host'], 'statement.host')),
    boot: printable(STATEMENT, raw['boot'], 'statement.boot'),
    drill: hex(raw['drill'], 'statement.drill', 16),
  };
  switch (raw['kind']) {
    case 'refused':
      return { ...common, kind: 'refused', code: printable(STATEMENT, raw['code'], 'statement.code') };
    case 'armed':
      return { ...common, kind: 'armed', version: integer(raw['version'], 'statement.version', 1) };
    case 'observed':
      return readObserved(raw, common);
    default:
      throw refusedWord(STATEMENT, 'its kind is unknown');
  }
}

function readObserved(raw: JsonObject, common: Common): Observed {
  const moments = object(raw['moments'], 'statement.moments');
  const ways = object(raw['ways'], 'statement.ways');
  const way = (name: Way): WayRecord => readWay(object(ways[name], `statement.ways.${name}`), name);
  return {
    ...common,
    kind: 'observed',
    version: integer(raw['version'], 'statement.version', 1),
    moments: optional(moments, HOST_MOMENTS, 'statement.moments'),
    ...(raw['serviceBoot'] === undefined
      ? {}
      : { serviceBoot: printable(STATEMENT, raw['serviceBoot'], 'statement.serviceBoot') }),
    ways: {
      reopen: way('reopen'),
      held: way('held'),
      mapped: way('mapped'),
      watched: way('watched'),
    },
  };
}

function readWay(raw: JsonObject, name: Way): WayRecord {
  const count = (member: string): number => integer(raw[member], `statement.ways.${name}.${member}`);
  return {
    attempts: count('attempts'),
    reads: count('reads'),
    late: count('late'),
    attemptsAfter: count('attemptsAfter'),
    ...optional(raw, ['lastRead', 'firstDenied', 'firstNew'] as const, `statement.ways.${name}`),
    errno: count('errno'),
  };
}

/** The moments that are there. */
function optional<T extends string>(
  raw: JsonObject,
  names: readonly T[],
  where: string,
): Readonly<Partial<Record<T, number>>> {
  const there = names.filter((name) => raw[name] !== undefined);
  const moment = (value: Json | undefined, name: T): number => integer(value, `${where}.${name}`);
  return Object.fromEntries(there.map((name) => [name, moment(raw[name], name)])) as Partial<
    Record<T, number>
  >;
}
