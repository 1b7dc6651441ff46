// The trust decision: TUF's client workflow (1.0.34 §5) as a pure state machine. Bytes and a time go in; a new
// state or a typed error comes out, and the old state is never changed, so that trust cannot move half way.
//
// The caller downloads, in this order: root N+1 until there is none, timestamp, snapshot, targets, then the
// delegated roles it wants, each after the role that delegates to it. `now` is the update's fixed start time (§5.1), in milliseconds since the epoch.
import { ManifestError } from '../errors.ts';
import { delegatedKeys, isStillDelegated } from './delegations.ts';
import { checkThreshold, sameKeys } from './keys.ts';
import type { RoleKeys } from './keys.ts';
import { checkFile, hasHashes, sha256 } from './metadata.ts';
import type { Header, Unverified, Verified } from './metadata.ts';
import { parseRoot } from './root.ts';
import type { Root } from './root.ts';
import { parseSnapshot } from './snapshot.ts';
import type { RoleMeta, Snapshot } from './snapshot.ts';
import { parseTargets } from './targets.ts';
import type { Targets } from './targets.ts';
import { parseTimestamp } from './timestamp.ts';
import type { Timestamp } from './timestamp.ts';

export interface TrustedSet {
  readonly root: Verified<Root>;
  readonly timestamp?: Verified<Timestamp>;
  /** May be older than `timestamp` says until the new one was accepted; it then guards against rollback. */
  readonly snapshot?: Verified<Snapshot>;
  /** `targets` and delegated roles, each possibly older than the snapshot says: see `currentRole`. */
  readonly targets: ReadonlyMap<string, VerifiedTargets>;
}

export interface VerifiedTargets extends Verified<Targets> {
  /** The role whose delegation it was verified by; `root` for `targets`. */
  readonly delegator: string;
}

/** §5.2: starts from a root that came by a trusted way. Its expiry does not matter yet. */
export function trustRoot(bytes: Uint8Array): TrustedSet {
  const { file, role } = parseRoot(bytes);
  checkThreshold('root', role.roles.root, file.signatures, file.canonical);
  return { root: verified(file, role), targets: new Map() };
}

/** §5.3.4–§5.3.7 and §5.3.11: the next root, signed by the old keys and by its own. */
export function updateRoot(set: TrustedSet, bytes: Uint8Array): TrustedSet {
  const { file, role } = parseRoot(bytes);
  const old = set.root.role;
  // §5.3.4
  checkThreshold('root', old.roles.root, file.signatures, file.canonical);
  checkThreshold('root', role.roles.root, file.signatures, file.canonical);
  // §5.3.5
  if (role.version !== old.version + 1) {
    throw new ManifestError('version-mismatch', `root ${role.version} cannot follow root ${old.version}`);
  }
  const root = verified(file, role);
  // §5.3.11: rotated online keys end a fast-forward attack, because what they signed is forgotten.
  const rotated =
    !sameKeys(old.roles.timestamp, role.roles.timestamp) ||
    !sameKeys(old.roles.snapshot, role.roles.snapshot);
  if (rotated) return { root, targets: new Map() };
  // What the old targets keys signed, or delegated, is verified again by the new ones.
  return sameKeys(old.roles.targets, role.roles.targets)
    ? { ...set, root }
    : { ...set, root, targets: new Map() };
}

/**
 * §5.4. An equal version is normal and returns the very same set, unless it has expired since. `now` absent means that the bytes come from this
 * host's own disk: they only guard against rollback, so their expiry does not matter (§5.2's reasoning).
 */
export function updateTimestamp(set: TrustedSet, bytes: Uint8Array, now?: number): TrustedSet {
  // §5.3.10
  if (now !== undefined) checkExpiry('root', set.root.role, now);
  const { file, role } = parseTimestamp(bytes);
  // §5.4.2
  checkThreshold('timestamp', set.root.role.roles.timestamp, file.signatures, file.canonical);
  const old = set.timestamp?.role;
  if (old) {
    // §5.4.3.1
    if (role.version < old.version) throw rollback('timestamp', role.version, old.version);
    if (role.version === old.version) {
      if (now !== undefined) checkExpiry('timestamp', old, now);
      return set;
    }
    // §5.4.3.2
    if (role.snapshot.version < old.snapshot.version) {
      throw rollback('snapshot', role.snapshot.version, old.snapshot.version);
    }
  }
  // §5.4.4
  if (now !== undefined) checkExpiry('timestamp', role, now);
  return { ...set, timestamp: verified(file, role) };
}

/** §5.5. */
export function updateSnapshot(set: TrustedSet, bytes: Uint8Array, now?: number): TrustedSet {
  const timestamp = required(set.timestamp, 'timestamp').role;
  // §5.5.2
  checkFile(bytes, timestamp.snapshot, 'snapshot');
  const { file, role } = parseSnapshot(bytes);
  // §5.5.3
  checkThreshold('snapshot', set.root.role.roles.snapshot, file.signatures, file.canonical);
  // §5.5.4
  checkVersion('snapshot', role.version, timestamp.snapshot.version);
  // §5.5.5
  for (const [name, old] of set.snapshot?.role.roles ?? []) {
    const meta = role.roles.get(name);
    if (!meta) throw new ManifestError('role-vanished', `the new snapshot no longer lists ${name}`);
    if (meta.version < old.version) throw rollback(name, meta.version, old.version);
  }
  // §5.5.6
  if (now !== undefined) checkExpiry('snapshot', role, now);
  return { ...set, snapshot: verified(file, role) };
}

/**
 * The snapshot that this host held last, from its own disk: signed by root's keys, but perhaps no longer, or not yet, the
 * one that the timestamp names. Unless it is, it only guards its successor against rollback (§5.5.5).
 */
export function recallSnapshot(set: TrustedSet, bytes: Uint8Array): TrustedSet {
  const { file, role } = parseSnapshot(bytes);
  checkThreshold('snapshot', set.root.role.roles.snapshot, file.signatures, file.canonical);
  return { ...set, snapshot: verified(file, role) };
}

/**
 * §5.6: `targets` itself, or a role that the current `delegator` delegates to. `now` absent as for the timestamp.
 * @throws ManifestError role-unknown, metadata-missing and whatever the file itself is refused for
 */
export function updateTargets(
  set: TrustedSet,
  name: string,
  bytes: Uint8Array,
  now?: number,
  delegator = name === 'targets' ? 'root' : 'targets',
): TrustedSet {
  const meta = roleMeta(set, name);
  const keys = roleKeys(set, name, delegator);
  // §5.6.2
  checkFile(bytes, meta, name);
  const { file, role } = parseTargets(bytes);
  // §5.6.3
  checkThreshold(name, keys, file.signatures, file.canonical);
  // §5.6.4
  checkVersion(name, role.version, meta.version);
  // §5.6.5
  if (now !== undefined) checkExpiry(name, role, now);
  const targets = stillDelegated(set.targets, name, role);
  return { ...set, targets: targets.set(name, { ...verified(file, role), delegator }) };
}

/** The snapshot, if it is the one that the timestamp names. */
export function currentSnapshot(set: TrustedSet): Verified<Snapshot> | undefined {
  const { snapshot, timestamp } = set;
  return isNamed(snapshot, timestamp?.role.snapshot) ? snapshot : undefined;
}

/** A targets role, if it is the one that the current snapshot names. */
export function currentRole(set: TrustedSet, name: string): VerifiedTargets | undefined {
  const role = set.targets.get(name);
  return isNamed(role, currentSnapshot(set)?.role.roles.get(name)) ? role : undefined;
}

/** Whether a file is the one that its parent names: by version, and by length and hashes where they were signed. */
function isNamed(file: Verified<Header> | undefined, meta: RoleMeta | undefined): boolean {
  if (!file || !meta || meta.uncheckable) return false;
  if (file.role.version !== meta.version || file.bytes.length !== (meta.length ?? file.bytes.length))
    return false;
  return hasHashes(file, meta);
}

/** What is held, less the roles that `delegator` gives other keys now, and what those delegated to in turn. */
function stillDelegated(
  held: TrustedSet['targets'],
  delegator: string,
  next: Targets,
): Map<string, VerifiedTargets> {
  const before = held.get(delegator)?.role;
  const kept = new Map(held);
  const forget = (name: string): void => {
    kept.delete(name);
    for (const [below, role] of held) if (role.delegator === name && kept.has(below)) forget(below);
  };
  for (const [name, role] of held) {
    if (role.delegator !== delegator) continue;
    if (!before || !isStillDelegated(before, next, name)) forget(name);
  }
  return kept;
}

/**
 * The keys that must sign a targets role: root's word for `targets`, its delegator's for any other.
 * @throws ManifestError role-unknown, metadata-missing
 */
export function roleKeys(set: TrustedSet, name: string, delegator = 'targets'): RoleKeys {
  if (name === 'targets') return set.root.role.roles.targets;
  const delegation = delegatedKeys(required(currentRole(set, delegator), delegator).role, name);
  if (!delegation) throw new ManifestError('role-unknown', `${delegator} does not delegate to ${name}`);
  return delegation;
}

function verified<Role>({ bytes, raw }: Unverified, role: Role): Verified<Role> {
  return { bytes, sha256: sha256(bytes), raw, role };
}

/**
 * What the current snapshot says of a targets role.
 * @throws ManifestError role-unknown: it does not list it; metadata-missing: there is no current snapshot
 */
export function roleMeta(set: TrustedSet, name: string): RoleMeta {
  const meta = required(currentSnapshot(set), 'snapshot').role.roles.get(name);
  if (!meta) throw new ManifestError('role-unknown', `the snapshot does not list ${name}`);
  return meta;
}

function checkExpiry(name: string, role: Header, now: number): void {
  if (role.expires <= now) throw new ManifestError('metadata-expired', `${name} ${role.version} has expired`);
}

function checkVersion(name: string, version: number, wanted: number): void {
  if (version !== wanted) {
    throw new ManifestError('version-mismatch', `${name} has version ${version}, ${wanted} was signed for`);
  }
}

function rollback(name: string, version: number, trusted: number): ManifestError {
  return new ManifestError('version-rollback', `${name} ${version} is older than the trusted ${trusted}`);
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new ManifestError('metadata-missing', `a current ${name} is needed first`);
  return value;
}
