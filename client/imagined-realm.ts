// What would become of a realm with a change that its signers have yet to agree on: the verified state with the proposed
// roles in the place of those that they replace, read by the same `Reading` that judges what is published, and held against
// the same past. It is thrown away afterwards; nothing is trusted for it.
import { ManifestError } from '../manifest/errors.ts';
import type { LapseError } from '../manifest/errors.ts';
import { asVerified } from '../manifest/realm/proposal.ts';
import type { ProposedRole } from '../manifest/realm/proposal.ts';
import { delegatorOf } from '../manifest/realm/realm.ts';
import { delegatedKeys, isStillDelegated } from '../manifest/tuf/delegations.ts';
import { validSignatures } from '../manifest/tuf/keys.ts';
import { parseTargets } from '../manifest/tuf/targets.ts';
import { currentRole } from '../manifest/tuf/trusted-set.ts';
import type { TrustedSet, VerifiedTargets } from '../manifest/tuf/trusted-set.ts';
import { Reading } from './reading.ts';
import type { Memory, RealmState } from './reading.ts';

/**
 * `memory` is what must not be forgotten of the state's past.
 * @throws LapseError what would fail that does not fail now, or is proposed and would not verify
 */
export function imagine(state: RealmState, memory: Memory, roles: readonly ProposedRole[]): RealmState {
  const reading = new Reading(() => true, memory);
  const before = reading.read(state.set, state.failures);
  const proposed = new Set(roles.map(({ name }) => failsAs(name)));
  const others = [...state.failures].filter(([name]) => !proposed.has(name));
  const set = withRoles(state.set, roles);
  const orphans = orphaned(state.set, set, roles);
  const after = reading.read(set, new Map([...others, ...orphans]));
  const isNew = ([name]: readonly [string, LapseError]): boolean =>
    proposed.has(name) || !state.failures.has(name);
  const failure = [...after.failures].find(isNew);
  if (failure) throw failure[1];
  const known = new Set([...state.alarms, ...before.alarms].map(({ message }) => message));
  const alarm = after.alarms.find(({ message }) => !known.has(message));
  if (alarm) throw alarm;
  return after;
}

/** As if the snapshot named the proposed roles. */
function withRoles(set: TrustedSet, roles: readonly ProposedRole[]): TrustedSet {
  const { snapshot } = set;
  if (!snapshot) throw new ManifestError('metadata-missing', 'a current snapshot is needed first');
  const metas = new Map(snapshot.role.roles);
  const targets = new Map(set.targets);
  for (const proposed of roles) {
    const { name, role } = proposed;
    metas.set(name, { version: role.version });
    const delegator = name === 'targets' ? 'root' : delegatorOf(name);
    targets.set(name, { ...asVerified(proposed), delegator });
  }
  return { ...set, snapshot: { ...snapshot, role: { ...snapshot.role, roles: metas } }, targets };
}

/** Roles that stay as they are, and that the keys which the change gives them have not signed. */
function orphaned(
  before: TrustedSet,
  after: TrustedSet,
  roles: readonly ProposedRole[],
): readonly (readonly [string, LapseError])[] {
  const proposed = new Set(roles.map(({ name }) => name));
  return [...after.targets].flatMap(([name, held]) => {
    if (proposed.has(name) || !proposed.has(held.delegator) || isSigned(before, after, name, held)) return [];
    const error = new ManifestError('signature-threshold', `${name} must be signed again by its new keys`);
    return [[failsAs(name), error] as const];
  });
}

function isSigned(before: TrustedSet, after: TrustedSet, name: string, held: VerifiedTargets): boolean {
  const [old, next] = [before, after].map((set) => currentRole(set, held.delegator)?.role);
  if (!old || !next || isStillDelegated(old, next, name)) return true;
  const keys = delegatedKeys(next, name);
  const { signatures, canonical } = parseTargets(held.bytes).file;
  // A delegation that is gone is the reading's to judge.
  return !keys || validSignatures(keys, signatures, canonical).length >= keys.threshold;
}

/** A namespace and its revoker fail as one. */
function failsAs(role: string): string {
  return role.replace(/-revoker$/, '');
}
