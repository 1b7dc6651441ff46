// A targets role (TUF 1.0.34 §4.5), top-level or delegated: the files it lists and the roles it delegates to.
import { ManifestError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { integer, object } from '../shape.ts';
import { parseDelegations } from './delegations.ts';
import type { Delegations } from './delegations.ts';
import { parseHashes, parseHeader, parseMetadata } from './metadata.ts';
import type { Hashes, Header, Unverified } from './metadata.ts';

export interface TargetFile extends Hashes {
  readonly length: number;
  readonly custom?: JsonObject;
}

export interface Targets extends Header, Delegations {
  readonly targets: ReadonlyMap<string, TargetFile>;
}

export function parseTargets(bytes: Uint8Array): { file: Unverified; role: Targets } {
  const file = parseMetadata(bytes, 'targets', LIMITS.targetsBytes);
  const targets = new Map<string, TargetFile>();
  for (const [path, value] of Object.entries(object(file.raw['targets'], 'targets.targets'))) {
    targets.set(path, parseTargetFile(object(value, path), path));
  }
  return {
    file,
    role: {
      ...parseHeader(file.raw, 'targets'),
      targets,
      ...parseDelegations(file.raw['delegations']),
    },
  };
}

function parseTargetFile(value: JsonObject, where: string): TargetFile {
  const { custom } = value;
  const file = { length: integer(value['length'], where), ...parseHashes(value['hashes'], where) };
  return custom === undefined ? file : { ...file, custom: object(custom, where) };
}

/** @throws ManifestError metadata-malformed: where a profile of TUF lists sha256 for every file, this one has none */
export function sha256Of(file: TargetFile, path: string): string {
  if (file.sha256 !== undefined) return file.sha256;
  throw new ManifestError('metadata-malformed', `${path}: a sha256 is needed`);
}

/** §5.7.3: where a target is found; with consistent snapshots its name begins with one of its hashes. */
export function targetFileName(path: string, file: TargetFile, isConsistent: boolean): string {
  const hash = file.sha256 ?? file.sha512;
  if (!isConsistent || hash === undefined) return path;
  const directory = path.lastIndexOf('/') + 1;
  return `${path.slice(0, directory)}${hash}.${path.slice(directory)}`;
}
