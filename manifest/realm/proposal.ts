// A change below its threshold: the next versions of some roles, each signed by at least one of its keys. Everything that
// a reader asks of a single role is asked here, save that the threshold is met; whoever proposes, keeps or signs a change
// holds it against the realm beside that. Nothing here makes a role trusted.
import { canonicalJson } from '../canonical-json.ts';
import { ManifestError } from '../errors.ts';
import { validSignatures } from '../tuf/keys.ts';
import type { KeyId, RoleKeys, Signature } from '../tuf/keys.ts';
import { sha256, withSignatures } from '../tuf/metadata.ts';
import type { Unverified, Verified } from '../tuf/metadata.ts';
import { parseTargets } from '../tuf/targets.ts';
import type { Targets } from '../tuf/targets.ts';
import { currentSnapshot, roleKeys } from '../tuf/trusted-set.ts';
import type { TrustedSet } from '../tuf/trusted-set.ts';
import type { RoleUpload } from './exchange.ts';
import { delegatorOf } from './realm.ts';

/** A role as it is proposed. */
export interface ProposedRole extends RoleUpload {
  /** Whose signatures it needs. */
  readonly keys: RoleKeys;
  /** Those that count. */
  readonly signatures: readonly Signature[];
  readonly role: Targets;
  readonly file: Unverified;
}

/**
 * The roles of a change, each after the one that delegates to it, against the realm as it is; `now` in milliseconds since
 * the epoch. Their signatures are those that count, and no others.
 * @throws ManifestError version-mismatch, metadata-expired, signature-threshold: nobody of a role signed it;
 * role-unknown, metadata-missing and the parser's codes
 */
export function readProposal(
  set: TrustedSet,
  uploads: readonly RoleUpload[],
  now: number,
): readonly ProposedRole[] {
  const proposed = new Map<string, ProposedRole>();
  for (const { name, metadata } of uploads) {
    const { file, role } = parseTargets(metadata);
    checkHeader(set, name, role, now);
    const keys = keysOf(set, name, proposed.get(delegatorOf(name))?.role);
    const signatures = validSignatures(keys, file.signatures, file.canonical);
    if (signatures.length === 0) {
      throw new ManifestError('signature-threshold', `${name} is signed by none of its keys`);
    }
    const kept = withSignatures(file.raw, signatures);
    proposed.set(name, { name, metadata: kept, keys, signatures, role, file });
  }
  return [...proposed.values()];
}

/** The same role with further signatures; what does not count is left out. */
export function withMore(proposed: ProposedRole, more: readonly Signature[]): ProposedRole {
  const { keys, file } = proposed;
  const signatures = validSignatures(keys, [...proposed.signatures, ...more], file.canonical);
  return { ...proposed, signatures, metadata: withSignatures(file.raw, signatures) };
}

/** How many keys must still sign. */
export function missingOf({ keys, signatures }: ProposedRole): number {
  return Math.max(0, keys.threshold - signatures.length);
}

/** Who has signed. */
export function signersOf({ signatures }: ProposedRole): readonly KeyId[] {
  return signatures.map(({ keyid }) => keyid);
}

/** What is proposed, whoever signed it: the sha256 of the canonical object of the roles' `signed` parts, by role. */
export function proposalId(roles: readonly Pick<ProposedRole, 'name' | 'file'>[]): string {
  return sha256(canonicalJson(Object.fromEntries(roles.map(({ name, file }) => [name, file.raw]))));
}

/** As a role that was verified, for whoever looks at what it would be. */
export function asVerified({ metadata, file, role }: ProposedRole): Verified<Targets> {
  return { bytes: metadata, sha256: sha256(metadata), raw: file.raw, role };
}

function checkHeader(set: TrustedSet, name: string, { version, expires }: Targets, now: number): void {
  const current = currentSnapshot(set)?.role.roles.get(name)?.version ?? 0;
  if (version !== current + 1) {
    throw new ManifestError('version-mismatch', `${name} ${version} cannot follow ${name} ${current}`);
  }
  if (expires <= now) throw new ManifestError('metadata-expired', `${name} ${version} has expired`);
}

/** The delegator's word, as the same change leaves it. */
function keysOf(set: TrustedSet, name: string, delegator: Targets | undefined): RoleKeys {
  const delegated = delegator?.delegations.get(name);
  if (delegated) return delegated;
  if (!delegator) return roleKeys(set, name, delegatorOf(name));
  throw new ManifestError('role-unknown', `${delegatorOf(name)} does not delegate to ${name}`);
}
