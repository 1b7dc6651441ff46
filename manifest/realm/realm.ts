// A realm is one TUF repository. Its first root and targets, its id, and what `targets` delegates: `fleet`, and for each
// namespace its role, a policy, and perhaps a revoker. Anything else in its delegations is refused: a stock client
// would believe it, and nobody here would look at it.
import type { JsonObject } from '../json.ts';
import { canonicalJson } from '../canonical-json.ts';
import { ManifestError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { parseNamespace, parseRealmId } from '../names.ts';
import type { Namespace, RealmId } from '../names.ts';
import { formatInstant, hex, object } from '../shape.ts';
import type { Delegation } from '../tuf/delegations.ts';
import { ed25519KeyJson, keyId } from '../tuf/keys.ts';
import { SPEC_VERSION, sha256 } from '../tuf/metadata.ts';
import type { Verified } from '../tuf/metadata.ts';
import type { Root, TopLevelRole } from '../tuf/root.ts';
import type { Targets } from '../tuf/targets.ts';
import { policyJson, readPolicy } from './policy.ts';
import type { Policy } from './policy.ts';

/** Raw public ed25519 keys, in hexadecimal. */
export type PublicHex = string;

/** Who signs a role: that many of these keys. */
export interface Signatories {
  readonly signers: readonly PublicHex[];
  readonly threshold: number;
}

export const FLEET = 'fleet';
export const FLEET_HOSTS = 'fleet-hosts';

/** sha256 of the canonical signed part of root 1. */
export function realmId(firstRoot: Verified<Root>): RealmId {
  checkRealmRoot(firstRoot.role);
  if (firstRoot.role.version !== 1)
    throw new ManifestError('version-mismatch', 'a realm id is computed from root 1');
  return parseRealmId(sha256(canonicalJson(firstRoot.raw)));
}

/** TUF allows repositories without consistent snapshots; a realm is none. @throws ManifestError metadata-malformed */
export function checkRealmRoot({ consistentSnapshot }: Root): void {
  if (consistentSnapshot) return;
  throw new ManifestError('metadata-malformed', 'root: a realm uses consistent snapshots');
}

/** Root 1, unsigned; `expires` in milliseconds since the epoch. */
export function firstRoot(roles: Readonly<Record<TopLevelRole, Signatories>>, expires: number): JsonObject {
  const role = (name: TopLevelRole): JsonObject => roleKeysJson(roles[name]);
  return {
    _type: 'root',
    spec_version: SPEC_VERSION,
    version: 1,
    expires: formatInstant(expires),
    consistent_snapshot: true,
    keys: keyTable(Object.values(roles).flatMap(({ signers }) => signers)),
    roles: {
      root: role('root'),
      timestamp: role('timestamp'),
      snapshot: role('snapshot'),
      targets: role('targets'),
    },
  };
}

/** The first version, unsigned, of any targets role. */
export function firstTargets(expires: number): JsonObject {
  return {
    _type: 'targets',
    spec_version: SPEC_VERSION,
    version: 1,
    expires: formatInstant(expires),
    targets: {},
  };
}

/** Targets 1, unsigned: it delegates to the fleet and to nobody else yet. */
export function genesisTargets(fleet: Signatories, expires: number): JsonObject {
  return {
    ...firstTargets(expires),
    delegations: { keys: keyTable(fleet.signers), roles: [delegation(FLEET, `${FLEET_HOSTS}/*`, fleet)] },
    policies: {},
  };
}

/** The next version of a role's signed part. */
export function nextVersion(role: Verified<Targets>, expires: number, change: JsonObject): JsonObject {
  return { ...role.raw, version: role.role.version + 1, expires: formatInstant(expires), ...change };
}

export interface NamespaceTerms extends Signatories {
  /** Each of them alone may take back; none: only the namespace itself can. */
  readonly revokers: readonly PublicHex[];
  readonly policy: Policy;
}

/** The members of `targets` that change when one more namespace is delegated, which owns `NAMESPACE/*`. */
export function delegateNamespace(
  targets: Verified<Targets>,
  namespace: Namespace,
  terms: NamespaceTerms,
): JsonObject {
  if (targets.role.delegations.has(namespace)) {
    throw new ManifestError('name-invalid', `the namespace ${namespace} exists already`);
  }
  const old = object(targets.raw['delegations'], 'targets.delegations');
  const roles = [...(old['roles'] as readonly JsonObject[]), ...namespaceRoles(namespace, terms)];
  return withNamespace(targets, namespace, terms, roles);
}

/**
 * The members of `targets` that change when a namespace that exists gets other people or another policy. Keys that no
 * role names any more are gone. Whoever publishes it has the roles signed again that the new keys did not sign.
 * @throws ManifestError policy-malformed: a revoker never vanishes
 */
export function redelegateNamespace(
  targets: Verified<Targets>,
  namespace: Namespace,
  terms: NamespaceTerms,
): JsonObject {
  const revoker = revokerOf(namespace);
  if (terms.revokers.length === 0 && targets.role.delegations.has(revoker)) {
    throw new ManifestError('policy-malformed', `${revoker}: a namespace that has a revoker keeps one`);
  }
  const old = object(targets.raw['delegations'], 'targets.delegations');
  const roles = (old['roles'] as readonly JsonObject[]).flatMap((role) => {
    if (role['name'] === revoker) return [];
    return role['name'] === namespace ? namespaceRoles(namespace, terms) : [role];
  });
  return withNamespace(targets, namespace, terms, roles);
}

/** The members of `targets` that change when other people sign the fleet, or more or fewer of them. */
export function redelegateFleet({ raw }: Verified<Targets>, fleet: Signatories): JsonObject {
  const old = object(raw['delegations'], 'targets.delegations');
  const roles = (old['roles'] as readonly JsonObject[]).map((role) =>
    role['name'] === FLEET ? delegation(FLEET, `${FLEET_HOSTS}/*`, fleet) : role,
  );
  return { delegations: withRoles(old, roles, fleet.signers) };
}

/** Who signs the fleet, as `targets` says now. @throws ManifestError fleet-malformed */
export function fleetSignatories(targets: Verified<Targets>): Signatories {
  const fleet = targets.role.delegations.get(FLEET);
  if (!fleet) throw new ManifestError('fleet-malformed', 'targets does not delegate to fleet');
  return signatoriesOf(targets, fleet);
}

/** What `targets` says of a namespace now. @throws ManifestError role-unknown and the readers' codes */
export function namespaceTerms(targets: Verified<Targets>, namespace: Namespace): NamespaceTerms {
  const signers = targets.role.delegations.get(namespace);
  const policy = readRealm(targets).get(namespace)?.policy;
  if (!signers || !policy) {
    throw new ManifestError('role-unknown', `targets does not delegate to ${namespace}`);
  }
  const revokers = targets.role.delegations.get(revokerOf(namespace));
  return {
    ...signatoriesOf(targets, signers),
    revokers: revokers ? signatoriesOf(targets, revokers).signers : [],
    policy,
  };
}

function signatoriesOf({ raw }: Verified<Targets>, { keys, threshold }: Delegation): Signatories {
  const table = object(object(raw['delegations'], 'targets.delegations')['keys'], 'keys');
  const hexOf = (id: string): PublicHex =>
    hex(object(object(table[id], id)['keyval'], id)['public'], `targets.delegations.keys.${id}`, 32);
  return { signers: [...keys.keys()].map(hexOf), threshold };
}

/** A revoker stands right after its namespace. */
function namespaceRoles(namespace: Namespace, terms: NamespaceTerms): readonly JsonObject[] {
  const revoker = revokerOf(namespace);
  const signatories = { signers: terms.revokers, threshold: 1 };
  return [
    delegation(namespace, `${namespace}/*`, terms),
    ...(terms.revokers.length === 0
      ? []
      : [{ ...delegation(revoker, `${revoker}/*`, signatories), terminating: false }]),
  ];
}

function withNamespace(
  { raw }: Verified<Targets>,
  namespace: Namespace,
  terms: NamespaceTerms,
  roles: readonly JsonObject[],
): JsonObject {
  const old = object(raw['delegations'], 'targets.delegations');
  const policies = object(raw['policies'] ?? {}, 'targets.policies');
  const policy = Object.hasOwn(policies, namespace)
    ? object(policies[namespace], `targets.policies.${namespace}`)
    : {};
  return {
    delegations: withRoles(old, roles, [...terms.signers, ...terms.revokers]),
    policies: { ...policies, [namespace]: { ...policy, ...policyJson(terms.policy) } },
  };
}

/** `delegations` with other roles; keys that none of them names are gone. */
function withRoles(old: JsonObject, roles: readonly JsonObject[], added: readonly PublicHex[]): JsonObject {
  const named = new Set(roles.flatMap((role) => role['keyids'] as readonly string[]));
  const keys = { ...object(old['keys'], 'targets.delegations.keys'), ...keyTable(added) };
  return { ...old, keys: Object.fromEntries(Object.entries(keys).filter(([id]) => named.has(id))), roles };
}

export interface NamespaceDelegation {
  readonly policy: Policy;
  readonly hasRevoker: boolean;
}

/**
 * The namespaces that `targets` delegates to, in their order.
 * @throws ManifestError name-invalid, path-outside-role, policy-malformed
 */
export function readRealm(targets: Verified<Targets>): ReadonlyMap<Namespace, NamespaceDelegation> {
  const { delegations } = targets.role;
  if (delegations.size > 1 + 2 * LIMITS.namespaces) {
    throw new ManifestError('metadata-malformed', `targets: more than ${LIMITS.namespaces} namespaces`);
  }
  const fleet = delegations.get(FLEET);
  if (!fleet) throw new ManifestError('fleet-malformed', 'targets does not delegate to fleet');
  checkDelegation(fleet, `${FLEET_HOSTS}/*`, true);
  const policies = object(targets.raw['policies'], 'targets.policies');
  const found = new Map<Namespace, NamespaceDelegation>();
  for (const [name, role] of delegations) {
    if (name === FLEET || isRevokerOf(name, found)) continue;
    const namespace = parseNamespace(name);
    checkDelegation(role, `${namespace}/*`, true);
    const policy = readPolicy(policies[namespace], `targets.policies.${namespace}`);
    found.set(namespace, { policy, hasRevoker: checkRevoker(delegations.get(revokerOf(namespace))) });
  }
  return found;
}

/** The role that delegates to a role of a realm. */
export function delegatorOf(role: string): string {
  return role === FLEET_HOSTS ? FLEET : 'targets';
}

export function revokerOf(namespace: Namespace): string {
  return `${namespace}-revoker`;
}

/** A revoker stands after its namespace, so that it can never be asked first. */
function isRevokerOf(name: string, before: ReadonlyMap<Namespace, unknown>): boolean {
  return name.endsWith('-revoker') && before.has(name.slice(0, -'-revoker'.length) as Namespace);
}

function checkRevoker(role: Delegation | undefined): boolean {
  if (!role) return false;
  checkDelegation(role, `${role.name}/*`, false);
  if (role.threshold === 1) return true;
  throw new ManifestError('policy-malformed', `${role.name}: one key must be enough to take back`);
}

function checkDelegation({ name, paths, terminating }: Delegation, path: string, ends: boolean): void {
  if (paths.join() === path && terminating === ends) return;
  const rule = `${name} must own ${path} and ${ends ? 'end' : 'not end'} the search`;
  throw new ManifestError('path-outside-role', rule);
}

export function delegation(name: string, path: string, signatories: Signatories): JsonObject {
  return { name, ...roleKeysJson(signatories), terminating: true, paths: [path] };
}

export function roleKeysJson({ signers, threshold }: Signatories): {
  keyids: readonly string[];
  threshold: number;
} {
  return { keyids: signers.map((key) => keyId(ed25519KeyJson(key))), threshold };
}

export function keyTable(keys: readonly PublicHex[]): JsonObject {
  return Object.fromEntries(keys.map(ed25519KeyJson).map((key) => [keyId(key), key]));
}
