// A drill's summary as it is read from a signed report: every figure a number, every name a name, every text short and
// without control characters, for people's terminals and pages show them. What it means is `report.ts`.
import { ManifestError } from '../../errors.ts';
import type { Json } from '../../json.ts';
import { parseHostName, parseRealmId } from '../../names.ts';
import { array, boolean, hex, integer, number, object, string } from '../../shape.ts';
import { DRILL_KINDS, DRILL_LIMITS, oneOf } from './order.ts';
import type { Bound, DrillSummary, Spread } from './report.ts';

/** Figures of one summary, promises that it was held to, and characters of a text. */
const FIGURES = 512;
const PROMISES = 64;
const CHARACTERS = 256;

/** @throws ManifestError drill-refused and the readers' codes */
export function readSummary(value: Json): DrillSummary {
  const raw = object(value, 'summary');
  const startedAt = integer(raw['startedAt'], 'summary.startedAt');
  const ms = Object.entries(object(raw['ms'], 'summary.ms'));
  if (ms.length > FIGURES) throw refused('it has too many figures');
  return {
    realm: parseRealmId(string(raw['realm'], 'summary.realm')),
    drill: hex(raw['drill'], 'summary.drill', 16),
    kind: oneOf(raw['kind'], DRILL_KINDS, 'summary.kind'),
    startedAt,
    endedAt: integer(raw['endedAt'], 'summary.endedAt', startedAt),
    trials: integer(raw['trials'], 'summary.trials', 0, DRILL_LIMITS.trials),
    hosts: integer(raw['hosts'], 'summary.hosts', 0, DRILL_LIMITS.hosts),
    silent: array(raw['silent'], 'summary.silent', DRILL_LIMITS.hosts).map((host) =>
      parseHostName(string(host, 'summary.silent')),
    ),
    ms: Object.fromEntries(ms.map(([name, spread]) => [figureName(name), readSpread(spread, name)])),
    readsAfterEffect: integer(raw['readsAfterEffect'], 'summary.readsAfterEffect'),
    readsAfterReceipt: integer(raw['readsAfterReceipt'], 'summary.readsAfterReceipt'),
    attemptsAfter: integer(raw['attemptsAfter'], 'summary.attemptsAfter'),
    bound: readBound(raw['bound']),
    slo: array(raw['slo'], 'summary.slo', PROMISES).map(readPromise),
    pass: boolean(raw['pass'], 'summary.pass'),
    recordSha256: hex(raw['recordSha256'], 'summary.recordSha256', 32),
  };
}

function readSpread(value: Json, name: string): Spread {
  const where = `summary.ms.${name}`;
  const raw = object(value, where);
  const figure = (of: string): number => number(raw[of], `${where}.${of}`);
  return {
    count: integer(raw['count'], `${where}.count`),
    p50: figure('p50'),
    p90: figure('p90'),
    p99: figure('p99'),
    p999: figure('p999'),
    max: figure('max'),
  };
}

function readBound(value: Json | undefined): Bound {
  const raw = object(value, 'summary.bound');
  return {
    text: text(raw['text'], 'summary.bound.text'),
    promisedMs: number(raw['promisedMs'], 'summary.bound.promisedMs'),
    ...(raw['metMs'] === undefined ? {} : { metMs: number(raw['metMs'], 'summary.bound.metMs') }),
    met: boolean(raw['met'], 'summary.bound.met'),
  };
}

function readPromise(value: Json): DrillSummary['slo'][number] {
  const raw = object(value, 'summary.slo');
  return {
    text: text(raw['text'], 'summary.slo.text'),
    met: boolean(raw['met'], 'summary.slo.met'),
    ...(raw['valueMs'] === undefined ? {} : { valueMs: number(raw['valueMs'], 'summary.slo.valueMs') }),
  };
}

function figureName(name: string): string {
  if (/^[A-Za-z][A-Za-z0-9.-]{0,63}$/.test(name)) return name;
  throw refused('a figure has a name that is none');
}

function text(value: Json | undefined, where: string): string {
  const found = string(value, where);
  if (found.length <= CHARACTERS && !/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(found)) return found;
  throw refused(`${where} is longer than ${CHARACTERS} characters, or has control characters`);
}

function refused(why: string): ManifestError {
  return new ManifestError('drill-refused', `a drill's report was refused: ${why}`);
}
