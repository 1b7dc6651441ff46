// What a server leaves of a drill for the next one (RUN/drill.json), so that a trial outlives a hand-over, and the crash
// that is its point. Only the one that serves writes it. Moments are as in a host's statement: whole microseconds of
// CLOCK_MONOTONIC.
import type { JsonObject } from '../../manifest/json.ts';
import { HOST_MOMENTS } from '../../manifest/realm/drill/statement.ts';
import type { HostMoment } from '../../manifest/realm/drill/statement.ts';
import { hex, integer, object, string } from '../../manifest/shape.ts';
import type { StateFile } from '../runtime/state-file.ts';

export type HostMoments = Readonly<Partial<Record<HostMoment, number>>>;

/** A trial whose version every way has read. */
export interface KeptTrial {
  readonly number: number;
  readonly version: number;
  /** By which the probe knows the value. */
  readonly hash: bigint;
  readonly moments: HostMoments;
  readonly serviceBoot?: string;
}

export interface KeptDrill {
  /** The order's id. */
  readonly order: string;
  /** How many were begun. */
  readonly trials: number;
  readonly trial?: KeptTrial;
}

export class KeptDrills {
  readonly #file: StateFile;

  constructor(file: StateFile) {
    this.#file = file;
  }

  /** @throws DaemonError runtime-unwritable */
  write(drill: KeptDrill | undefined): void {
    this.#file.write({ drill: drill ? drillJson(drill) : null });
  }

  /** @throws DaemonError runtime-unreadable */
  read(): KeptDrill | undefined {
    return this.#file.read(({ drill }) => (drill === null ? undefined : readDrill(object(drill, 'drill'))));
  }
}

function drillJson({ order, trials, trial }: KeptDrill): JsonObject {
  return {
    order,
    trials,
    ...(trial && { trial: { ...trial, hash: String(trial.hash), moments: { ...trial.moments } } }),
  };
}

function readDrill(raw: JsonObject): KeptDrill {
  return {
    order: hex(raw['order'], 'order', 16),
    trials: integer(raw['trials'], 'trials'),
    ...(raw['trial'] === undefined ? {} : { trial: readTrial(object(raw['trial'], 'trial')) }),
  };
}

function readTrial(raw: JsonObject): KeptTrial {
  const moments = object(raw['moments'], 'trial.moments');
  const there = HOST_MOMENTS.filter((name) => moments[name] !== undefined);
  return {
    number: integer(raw['number'], 'trial.number', 1),
    version: integer(raw['version'], 'trial.version', 1),
    hash: big(raw['hash'], 'trial.hash'),
    moments: Object.fromEntries(there.map((name) => [name, integer(moments[name], `trial.moments.${name}`)])),
    ...(raw['serviceBoot'] === undefined
      ? {}
      : { serviceBoot: string(raw['serviceBoot'], 'trial.serviceBoot') }),
  };
}

/** More than a JSON number holds. */
function big(value: JsonObject[string] | undefined, where: string): bigint {
  const text = string(value, where);
  return /^\d{1,20}$/.test(text) ? BigInt(text) : BigInt(integer(NaN, where));
}
