// A realm is one TUF repository. Its first root and targets, its id, and how a namespace is delegated.
import type { Json, JsonObject } from '../json.ts';
import { canonicalJson } from '../canonical-json.ts';
import { ManifestError } from '../errors.ts';
import { parseNamespace, parseRealmId } from '../names.ts';
import type { Namespace, RealmId } from '../names.ts';
import { formatInstant, object } from '../shape.ts';
import { ed25519KeyJson, keyId } from '../tuf/keys.ts';
import { SPEC_VERSION, sha256 } from '../tuf/metadata.ts';
import type { Verified } from '../tuf/metadata.ts';
import type { Root, TopLevelRole } from '../tuf/root.ts';
import type { Targets } from '../tuf/targets.ts';

/** Raw public ed25519 keys, in hexadecimal. */
export type PublicHex = string;

/** sha256 of the canonical signed part of root 1. */
export function realmId(firstRoot: Verified<Root>): RealmId {
  if (firstRoot.role.version !== 1)
    throw new ManifestError('version-mismatch', 'a realm id is computed from root 1');
  return parseRealmId(sha256(canonicalJson(firstRoot.raw)));
}

/** Root 1, unsigned. Thresholds are 1; `expires` in milliseconds since the epoch. */
export function firstRoot(keys: Readonly<Record<TopLevelRole, PublicHex>>, expires: number): JsonObject {
  const role = (hex: PublicHex): JsonObject => ({ keyids: [keyId(ed25519KeyJson(hex))], threshold: 1 });
  return {
    _type: 'root',
    spec_version: SPEC_VERSION,
    version: 1,
    expires: formatInstant(expires),
    consistent_snapshot: true,
    keys: keyTable(Object.values(keys)),
    roles: {
      root: role(keys.root),
      timestamp: role(keys.timestamp),
      snapshot: role(keys.snapshot),
      targets: role(keys.targets),
    },
  };
}

/** The first version, unsigned, of `targets` or of a namespace. */
export function firstTargets(expires: number): JsonObject {
  return {
    _type: 'targets',
    spec_version: SPEC_VERSION,
    version: 1,
    expires: formatInstant(expires),
    targets: {},
  };
}

/** The next version of a role's signed part. */
export function nextVersion(role: Verified<Targets>, expires: number, change: JsonObject): JsonObject {
  return { ...role.raw, version: role.role.version + 1, expires: formatInstant(expires), ...change };
}

/** `targets` with one more namespace, which owns `NAMESPACE/*`. Returns the new `delegations` member. */
export function delegate(targets: Verified<Targets>, namespace: Namespace, owner: PublicHex): JsonObject {
  if (targets.role.delegations.has(namespace)) {
    throw new ManifestError('name-invalid', `the namespace ${namespace} exists already`);
  }
  const old = object(targets.raw['delegations'] ?? { keys: {}, roles: [] }, 'targets.delegations');
  const role: JsonObject = {
    name: namespace,
    keyids: [keyId(ed25519KeyJson(owner))],
    threshold: 1,
    terminating: true,
    paths: [`${namespace}/*`],
  };
  return {
    ...old,
    keys: { ...object(old['keys'], 'targets.delegations.keys'), ...keyTable([owner]) },
    roles: [...(old['roles'] as readonly Json[]), role],
  };
}

/**
 * The namespaces that `targets` delegates to: exactly `NAMESPACE/*`, terminating. Anything else is no namespace.
 * @throws ManifestError name-invalid, path-outside-role
 */
export function namespaces(targets: Verified<Targets>): readonly Namespace[] {
  return [...targets.role.delegations.values()].map((delegation) => {
    const namespace = parseNamespace(delegation.name);
    if (delegation.paths.join() !== `${namespace}/*` || !delegation.terminating) {
      throw new ManifestError('path-outside-role', `${namespace} must own ${namespace}/* and end the search`);
    }
    return namespace;
  });
}

function keyTable(keys: readonly PublicHex[]): JsonObject {
  return Object.fromEntries(keys.map(ed25519KeyJson).map((key) => [keyId(key), key]));
}
