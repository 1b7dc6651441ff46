// A drill's record as it is read from a file that somebody hands on. Its hash is signed, but who checks it must not stumble
// over what it says: every member has its type, every time is a whole number of microseconds. What it means is `report.ts`.
import { ManifestError } from '../../errors.ts';
import type { Json, JsonObject } from '../../json.ts';
import { LIMITS } from '../../limits.ts';
import { parseHostName, parseRealmId } from '../../names.ts';
import type { HostName } from '../../names.ts';
import { array, boolean, hex, integer, object, string } from '../../shape.ts';
import { DRILL_KINDS, DRILL_LIMITS, oneOf } from './order.ts';
import { STAGES } from './report.ts';
import type { DrillRecord, HostTrial, Participant, Trial, WayTimes } from './report.ts';
import { WAYS } from './statement.ts';
import type { Way } from './statement.ts';

const STATES = ['took-part', 'refused', 'silent'] as const;
const CLOCKS = ['same', 'bounded'] as const;
const ENVIRONMENT = 64;

/** @throws ManifestError drill-refused and the readers' codes */
export function readRecord(value: Json): DrillRecord {
  const raw = object(value, 'record');
  const environment = Object.entries(object(raw['environment'], 'record.environment'));
  if (environment.length > ENVIRONMENT) throw refused('record.environment has too many members');
  const { sabotage } = raw;
  return {
    realm: parseRealmId(string(raw['realm'], 'record.realm')),
    drill: hex(raw['drill'], 'record.drill', 16),
    kind: oneOf(raw['kind'], DRILL_KINDS, 'record.kind'),
    startedAt: integer(raw['startedAt'], 'record.startedAt'),
    endedAt: integer(raw['endedAt'], 'record.endedAt'),
    warmUp: integer(raw['warmUp'], 'record.warmUp', 0, DRILL_LIMITS.trials),
    leaseSeconds: integer(raw['leaseSeconds'], 'record.leaseSeconds', 1, LIMITS.leaseSeconds),
    environment: Object.fromEntries(
      environment.map(([name, word]) => [name, string(word, 'record.environment')]),
    ),
    ...(sabotage === undefined ? {} : { sabotage: string(sabotage, 'record.sabotage') }),
    participants: array(raw['participants'], 'record.participants', DRILL_LIMITS.hosts).map(readParticipant),
    trials: array(raw['trials'], 'record.trials', DRILL_LIMITS.trials).map(readTrial),
    aborted: boolean(raw['aborted'], 'record.aborted'),
  };
}

function readParticipant(value: Json): Participant {
  const raw = object(value, 'record.participants');
  const { code } = raw;
  return {
    host: host(raw['host']),
    state: oneOf(raw['state'], STATES, 'record.participants.state'),
    ...(code === undefined ? {} : { code: string(code, 'record.participants.code') }),
  };
}

function readTrial(value: Json): Trial {
  const raw = object(value, 'record.trials');
  return {
    number: integer(raw['number'], 'record.trials.number'),
    version: integer(raw['version'], 'record.trials.version'),
    at: integer(raw['at'], 'record.trials.at'),
    hosts: array(raw['hosts'], 'record.trials.hosts', DRILL_LIMITS.hosts).map(readHostTrial),
    missing: array(raw['missing'], 'record.trials.missing', DRILL_LIMITS.hosts).map(host),
  };
}

function readHostTrial(value: Json): HostTrial {
  const where = 'record.trials.hosts';
  const raw = object(value, where);
  const stages = object(raw['stages'], `${where}.stages`);
  const ways = object(raw['ways'], `${where}.ways`);
  return {
    host: host(raw['host']),
    clock: oneOf(raw['clock'], CLOCKS, `${where}.clock`),
    uncertaintyUs: integer(raw['uncertaintyUs'], `${where}.uncertaintyUs`),
    stages: times(stages, STAGES, `${where}.stages`),
    ways: Object.fromEntries(WAYS.map((way) => [way, readWay(ways[way], way)])) as Record<Way, WayTimes>,
    readsAfterReceipt: integer(raw['readsAfterReceipt'], `${where}.readsAfterReceipt`),
    ...times(raw, ['leaseUs', 'cutToLastReadUs', 'struckToAnsweredUs'], where),
  };
}

function readWay(value: Json | undefined, way: Way): WayTimes {
  const where = `record.trials.hosts.ways.${way}`;
  const raw = object(value, where);
  const count = (name: string): number => integer(raw[name], `${where}.${name}`);
  return {
    attempts: count('attempts'),
    reads: count('reads'),
    late: count('late'),
    attemptsAfter: count('attemptsAfter'),
    ...times(raw, ['lastReadUs', 'firstDeniedUs', 'firstNewUs'], where),
    errno: count('errno'),
  };
}

/** Those that are there; a time may lie before clock zero. */
function times<Name extends string>(
  raw: JsonObject,
  names: readonly Name[],
  where: string,
): Partial<Record<Name, number>> {
  const found = names.filter((name) => raw[name] !== undefined);
  const read = (name: Name): number => integer(raw[name], `${where}.${name}`, Number.MIN_SAFE_INTEGER);
  return Object.fromEntries(found.map((name) => [name, read(name)])) as Partial<Record<Name, number>>;
}

function host(value: Json | undefined): HostName {
  return parseHostName(string(value, 'record.host'));
}

function refused(why: string): ManifestError {
  return new ManifestError('drill-refused', `a drill's record was refused: ${why}`);
}
