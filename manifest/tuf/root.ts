// The root role (TUF 1.0.34 §4.3): which keys, and how many of them, speak for each top-level role.
import { LIMITS } from '../limits.ts';
import { boolean, object } from '../shape.ts';
import { parseKeys, parseRoleKeys } from './keys.ts';
import type { RoleKeys } from './keys.ts';
import { parseHeader, parseMetadata } from './metadata.ts';
import type { Header, Unverified } from './metadata.ts';

export const TOP_LEVEL_ROLES = ['root', 'timestamp', 'snapshot', 'targets'] as const;
export type TopLevelRole = (typeof TOP_LEVEL_ROLES)[number];

export interface Root extends Header {
  /** Whether files bear their version or hash in their names (§6.2). */
  readonly consistentSnapshot: boolean;
  readonly roles: Readonly<Record<TopLevelRole, RoleKeys>>;
}

export function parseRoot(bytes: Uint8Array): { file: Unverified; role: Root } {
  const file = parseMetadata(bytes, 'root', LIMITS.rootBytes);
  const consistent = file.raw['consistent_snapshot'];
  const keys = parseKeys(file.raw['keys'], 'root.keys');
  const raw = object(file.raw['roles'], 'root.roles');
  const role = (name: TopLevelRole): RoleKeys =>
    parseRoleKeys(object(raw[name], `root.roles.${name}`), keys, `root.roles.${name}`);
  return {
    file,
    role: {
      ...parseHeader(file.raw, 'root'),
      consistentSnapshot: consistent !== undefined && boolean(consistent, 'root.consistent_snapshot'),
      roles: {
        root: role('root'),
        timestamp: role('timestamp'),
        snapshot: role('snapshot'),
        targets: role('targets'),
      },
    },
  };
}
