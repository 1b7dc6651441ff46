// What a change of `targets` does, in words: who signs what, and what each namespace may ask of hosts.
import type { Namespace } from '../../../manifest/names.ts';
import { FLEET, namespaceTerms, readRealm } from '../../../manifest/realm/realm.ts';
import type { NamespaceTerms } from '../../../manifest/realm/realm.ts';
import { ed25519KeyJson, keyId } from '../../../manifest/tuf/keys.ts';
import type { KeyId, RoleKeys } from '../../../manifest/tuf/keys.ts';
import type { Verified } from '../../../manifest/tuf/metadata.ts';
import type { Targets } from '../../../manifest/tuf/targets.ts';

/** How a key is called: the name of an identity at hand, or how its id begins. */
export type NameOf = (keyid: KeyId) => string;

export function peopleLines(
  before: Verified<Targets>,
  after: Verified<Targets>,
  nameOf: NameOf,
): readonly string[] {
  const old = readRealm(before);
  return [
    ...signatoryLines(FLEET, before.role.delegations.get(FLEET), after.role.delegations.get(FLEET), nameOf),
    ...[...readRealm(after).keys()].flatMap((namespace) => {
      const next = namespaceTerms(after, namespace);
      return old.has(namespace)
        ? changedLines(namespace, namespaceTerms(before, namespace), next, nameOf)
        : [`Namespace ${namespace} is NEW: ${termLines(next, nameOf).join('; ')}`];
    }),
  ];
}

/** Who must sign a role, when that changes. */
export function signatoryLines(
  role: string,
  before: RoleKeys | undefined,
  after: RoleKeys | undefined,
  nameOf: NameOf,
): readonly string[] {
  const words = (role: RoleKeys | undefined): string =>
    role ? `${role.threshold} of ${[...role.keys.keys()].map(nameOf).join(', ')}` : 'nobody';
  if (words(before) === words(after)) return [];
  return [`${role} is SIGNED BY ${words(after)}; before: ${words(before)}`];
}

function changedLines(
  namespace: Namespace,
  before: NamespaceTerms,
  after: NamespaceTerms,
  nameOf: NameOf,
): readonly string[] {
  const old = termLines(before, nameOf);
  return termLines(after, nameOf).flatMap((line, i) =>
    line === old[i] ? [] : [`Namespace ${namespace}: ${line}; before: ${old[i] ?? ''}`],
  );
}

/** Always as many, in the same order. */
function termLines(
  { signers, threshold, revokers, policy }: NamespaceTerms,
  nameOf: NameOf,
): readonly string[] {
  const people = (keys: readonly string[]): string =>
    keys.map((key) => nameOf(keyId(ed25519KeyJson(key)))).join(', ') || 'nobody';
  const custodians = policy.custodians.map(({ kid }) => kid.slice(0, 12)).join(', ');
  const { leaseSeconds, whenStale } = policy;
  return [
    `signed by ${threshold} of ${people(signers)}`,
    `taken back by any of ${people(revokers)}`,
    `served by ${policy.pools.join(', ')}`,
    `custodians ${custodians}`,
    leaseSeconds === undefined ? "the realm's lease" : `a lease of ${leaseSeconds} s`,
    whenStale === 'serve' ? 'may be SERVED ON when a lease is over' : 'ends with the lease',
  ];
}
