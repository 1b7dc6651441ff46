// Changes to one secret of a namespace role: the `targets` member goes in, the next one comes out. Members that
// this version does not know stay. Whoever calls signs the result as the namespace's next version.
import type { Json, JsonObject } from '../json.ts';
import { targetPath } from '../names.ts';
import type { Namespace, SecretName, TargetPath } from '../names.ts';
import { formatInstant, instant, object } from '../shape.ts';
import { grantJson } from './grant.ts';
import type { Grant } from './grant.ts';
import { wrappedKeyJson } from './jwe.ts';
import type { WrappedKey } from './jwe.ts';
import type { WhenStale } from './policy.ts';
import { isRevoked, raiseFloor } from './revocation.ts';
import type { Floor } from './revocation.ts';
import type { Secret } from './secret.ts';

export interface NewVersion {
  readonly version: number;
  readonly length: number;
  readonly sha256: string;
  readonly keys: readonly WrappedKey[];
  readonly grants: readonly Grant[];
  readonly overlapSeconds: number;
  readonly whenStale: WhenStale;
}

/**
 * Adds a version; the one it replaces lives on until its overlap ends. Unknown members of `custom` and `timing`
 * belong to the secret and move on to the new version. `now` in milliseconds since the epoch.
 */
export function addVersion(
  targets: JsonObject,
  { namespace, name, secret }: { namespace: Namespace; name: SecretName; secret: Secret | undefined },
  next: NewVersion,
  now: number,
): JsonObject {
  const kept = secret ? withoutDead(supersede(targets, secret, now), secret, secret, now) : { ...targets };
  const before = secret ? customOf(targets, secret) : {};
  kept[targetPath(namespace, name, next.version)] = {
    length: next.length,
    hashes: { sha256: next.sha256 },
    custom: {
      ...before,
      version: next.version,
      grants: next.grants.map(grantJson),
      timing: {
        ...object(before['timing'] ?? {}, 'timing'),
        overlap: { seconds: next.overlapSeconds },
        whenStale: next.whenStale,
      },
      revokedThrough: secret?.revokedThrough ?? 0,
      revoked: secret?.revoked ?? [],
      keys: next.keys.map(wrappedKeyJson),
    },
  };
  return kept;
}

/** Takes back every version up to `through`; the newest one, if it is among them, stays as a tombstone. */
export function revokeThrough(targets: JsonObject, secret: Secret, through: number, now: number): JsonObject {
  return withFloor(targets, secret, raiseFloor(secret, through), now);
}

/** Takes back one version alone. */
export function revokeVersion(targets: JsonObject, secret: Secret, version: number, now: number): JsonObject {
  if (isRevoked(secret, version)) return targets;
  const revoked = [...secret.revoked, version].sort((a, b) => a - b);
  return withFloor(targets, secret, { revokedThrough: secret.revokedThrough, revoked }, now);
}

/**
 * Brings the signed secrets of a namespace up to what was taken back of them meanwhile, by its revoker say: the service
 * refuses a version that lists such a one as live. `secrets` are the effective ones.
 */
export function catchUp(targets: JsonObject, secrets: Iterable<Secret>, now: number): JsonObject {
  let caught = targets;
  for (const secret of secrets) {
    const { revokedThrough, revoked } = customOf(caught, secret);
    const floor = upTo(secret, secret.newestVersion);
    const isBehind =
      revokedThrough !== floor.revokedThrough ||
      (revoked as readonly number[]).join() !== floor.revoked.join();
    if (isBehind) caught = withFloor(caught, secret, floor, now);
  }
  return caught;
}

/** A namespace speaks of published versions only, whatever its revoker may have said of later ones. */
function upTo({ revokedThrough, revoked }: Floor, newest: number): Floor {
  return {
    revokedThrough: Math.min(revokedThrough, newest),
    revoked: revoked.filter((version) => version <= newest),
  };
}

export function setGrants(targets: JsonObject, secret: Secret, grants: readonly Grant[]): JsonObject {
  return editNewest(targets, secret, (custom) => ({ ...custom, grants: grants.map(grantJson) }));
}

/** Copies of a live version's data key, beside those that it has. */
export function addKeys(targets: JsonObject, path: TargetPath, keys: readonly WrappedKey[]): JsonObject {
  const target = object(targets[path], path);
  const custom = object(target['custom'], path);
  const all = [...(custom['keys'] as readonly Json[]), ...keys.map(wrappedKeyJson)];
  return { ...targets, [path]: { ...target, custom: { ...custom, keys: all } } };
}

function withFloor(targets: JsonObject, secret: Secret, floor: Floor, now: number): JsonObject {
  const edited = editNewest(targets, secret, ({ keys, ...custom }) => ({
    ...custom,
    revokedThrough: floor.revokedThrough,
    revoked: floor.revoked,
    ...(keys === undefined || isRevoked(floor, secret.newestVersion) ? {} : { keys }),
  }));
  return withoutDead(edited, secret, floor, now);
}

/** The newest version, when it is live, becomes one that only its overlap keeps; a tombstone goes. */
function supersede(targets: JsonObject, secret: Secret, now: number): Record<string, Json> {
  const { [pathOf(secret)]: target, ...rest } = targets;
  const seconds = secret.overlapSeconds;
  if (!secret.newest || seconds === 0) return rest;
  const file = object(target, 'target');
  const { version, keys } = object(file['custom'], 'custom') as { version: Json; keys: Json };
  const timing = { overlap: { seconds, end: formatInstant(now + seconds * 1000) } };
  return { ...rest, [pathOf(secret)]: { ...file, custom: { version, timing, keys } } };
}

/** Drops superseded versions, as they are signed, that the floor took back or whose overlap is over. */
function withoutDead(targets: JsonObject, secret: Secret, floor: Floor, now: number): Record<string, Json> {
  const prefix = `${secret.namespace}/${secret.name}@`;
  const isDead = (path: string, target: Json): boolean => {
    const custom = object(object(target, path)['custom'], path);
    const overlap = object(object(custom['timing'], path)['overlap'], path);
    const hasEnded = overlap['end'] !== undefined && instant(overlap['end'], path) <= now;
    return path !== pathOf(secret) && (hasEnded || isRevoked(floor, custom['version'] as number));
  };
  return Object.fromEntries(
    Object.entries(targets).filter(([path, target]) => !path.startsWith(prefix) || !isDead(path, target)),
  );
}

function editNewest(
  targets: JsonObject,
  secret: Secret,
  edit: (custom: JsonObject) => JsonObject,
): JsonObject {
  const path = pathOf(secret);
  const target = object(targets[path], path);
  return { ...targets, [path]: { ...target, custom: edit(object(target['custom'], path)) } };
}

function customOf(targets: JsonObject, secret: Secret): JsonObject {
  return object(object(targets[pathOf(secret)], 'target')['custom'], 'custom');
}

function pathOf(secret: Secret): string {
  return targetPath(secret.namespace, secret.name, secret.newestVersion);
}
