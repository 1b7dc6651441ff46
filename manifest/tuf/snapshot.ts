// The snapshot role (TUF 1.0.34 §4.4): the version, length and hash of every targets role, so that nobody can mix
// files of different times.
import { ManifestError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { integer, object } from '../shape.ts';
import { parseFileMeta, parseHeader, parseMetadata } from './metadata.ts';
import type { FileMeta, Header, Unverified } from './metadata.ts';

export interface RoleMeta extends FileMeta {
  readonly version: number;
}

export interface Snapshot extends Header {
  /** By role name: `targets` and each delegated role. */
  readonly roles: ReadonlyMap<string, RoleMeta>;
}

export function parseSnapshot(bytes: Uint8Array): { file: Unverified; role: Snapshot } {
  const file = parseMetadata(bytes, 'snapshot', LIMITS.snapshotBytes);
  const roles = new Map<string, RoleMeta>();
  for (const [name, value] of Object.entries(object(file.raw['meta'], 'snapshot.meta'))) {
    const where = `snapshot.meta.${name}`;
    if (!name.endsWith('.json')) throw new ManifestError('metadata-malformed', `${where}: not a role's file`);
    const meta = object(value, where);
    roles.set(name.slice(0, -'.json'.length), {
      ...parseFileMeta(meta, where),
      version: integer(meta['version'], `${where}.version`, 1),
    });
  }
  return { file, role: { ...parseHeader(file.raw, 'snapshot'), roles } };
}
