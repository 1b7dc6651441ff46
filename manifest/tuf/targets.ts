// A targets role (TUF 1.0.34 §4.5), top-level or delegated: the files it lists and the roles it delegates to.
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { array, boolean, integer, object, string } from '../shape.ts';
import { parseKeys, parseRoleKeys } from './keys.ts';
import type { RoleKeys } from './keys.ts';
import { parseHeader, parseMetadata, parseSha256 } from './metadata.ts';
import type { Header, Unverified } from './metadata.ts';

export interface TargetFile {
  readonly length: number;
  readonly sha256: string;
  readonly custom?: JsonObject;
}

export interface Delegation extends RoleKeys {
  readonly name: string;
  readonly paths: readonly string[];
  readonly terminating: boolean;
}

export interface Targets extends Header {
  readonly targets: ReadonlyMap<string, TargetFile>;
  /** In order of appearance, which is the order of precedence. */
  readonly delegations: ReadonlyMap<string, Delegation>;
}

export function parseTargets(bytes: Uint8Array): { file: Unverified; role: Targets } {
  const file = parseMetadata(bytes, 'targets', LIMITS.targetsBytes);
  const targets = new Map<string, TargetFile>();
  for (const [path, value] of Object.entries(object(file.raw['targets'], 'targets.targets'))) {
    targets.set(path, parseTargetFile(object(value, `targets.${path}`), `targets.${path}`));
  }
  return {
    file,
    role: {
      ...parseHeader(file.raw, 'targets'),
      targets,
      delegations: parseDelegations(file.raw['delegations']),
    },
  };
}

function parseTargetFile(value: JsonObject, where: string): TargetFile {
  return {
    length: integer(value['length'], `${where}.length`),
    sha256: parseSha256(value['hashes'], `${where}.hashes`),
    ...(value['custom'] === undefined ? {} : { custom: object(value['custom'], `${where}.custom`) }),
  };
}

function parseDelegations(value: Json | undefined): ReadonlyMap<string, Delegation> {
  const delegations = new Map<string, Delegation>();
  if (value === undefined) return delegations;
  const raw = object(value, 'targets.delegations');
  const keys = parseKeys(raw['keys'], 'targets.delegations.keys');
  for (const element of array(raw['roles'], 'targets.delegations.roles', 1 + 2 * LIMITS.namespaces)) {
    const role = object(element, 'targets.delegations.roles');
    const name = string(role['name'], 'targets.delegations.roles.name');
    if (delegations.has(name)) {
      throw new ManifestError('metadata-malformed', `targets.delegations: the role ${name} stands twice`);
    }
    const where = `targets.delegations.${name}`;
    delegations.set(name, {
      name,
      ...parseRoleKeys(role, keys, where),
      paths: array(role['paths'], `${where}.paths`, LIMITS.namespaces).map((path) => string(path, where)),
      terminating: boolean(role['terminating'], `${where}.terminating`),
    });
  }
  return delegations;
}
