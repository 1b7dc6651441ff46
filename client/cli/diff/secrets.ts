// What a change does to the secrets of a namespace, in words: versions that come, end or are taken back, and who may read
// them. Compared is what is in effect, before and after; a value is encrypted, and nobody who signs can see it.
import type { Grant } from '../../../manifest/realm/grant.ts';
import type { Policy } from '../../../manifest/realm/policy.ts';
import { isRevoked } from '../../../manifest/realm/revocation.ts';
import type { LiveVersion, Secret } from '../../../manifest/realm/secret.ts';
import { liveVersions } from '../../../manifest/realm/succession.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import type { Secrets } from '../../reading.ts';
import { listed } from '../confirmation.ts';
import { counted } from '../output.ts';

/** `now` in milliseconds since the epoch; `policy` as the change leaves it. */
export function secretLines(
  before: Secrets | undefined,
  after: Secrets,
  policy: Policy,
  now: number,
): readonly string[] {
  return [...after.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((secret) => ofSecret(before?.get(secret.name), secret, policy, now));
}

/** The names of those that differ. */
export function changedSecrets(before: Secrets | undefined, after: Secrets): readonly Secret[] {
  return [...after.values()].filter((secret) => {
    const old = before?.get(secret.name);
    return !old || JSON.stringify(plainOf(old)) !== JSON.stringify(plainOf(secret));
  });
}

function plainOf({ withheld, ...secret }: Secret): object {
  return { ...secret, withheld: [...withheld] };
}

function ofSecret(old: Secret | undefined, next: Secret, policy: Policy, now: number): readonly string[] {
  return [
    ...newest(old, next, policy),
    ...takenBack(old, next),
    ...ended(old, next, now),
    ...rewrapped(old, next, policy),
    ...granted(old, next),
    ...terms(old, next),
  ];
}

function idOf({ namespace, name }: Secret, version?: number): string {
  return version === undefined ? `${namespace}/${name}` : `${namespace}/${name}@${version}`;
}

function newest(old: Secret | undefined, next: Secret, policy: Policy): readonly string[] {
  if (old?.newestVersion === next.newestVersion) return [];
  const what = old ? `replaces version ${old.newestVersion}` : 'is a new secret';
  const of = next.newest ? `; its value cannot be seen here, ${encryptedTo(next.newest, policy)}` : '';
  return [`${idOf(next, next.newestVersion)} ${what}${of}`];
}

/** Nobody but pools and custodians should be able to open it. */
function encryptedTo({ keys }: LiveVersion, { custodians }: Policy): string {
  const people = keys.filter(({ epoch }) => epoch === 0);
  const strangers = people.filter(({ kid }) => !custodians.some((one) => one.kid === kid));
  const pools = counted(keys.length - people.length, 'pool key');
  const known = `it is encrypted to ${pools} and ${counted(people.length - strangers.length, 'custodian')}`;
  if (strangers.length === 0) return known;
  return `${known}, AND TO KEYS OF NOBODY KNOWN: ${listed(strangers.map(({ kid }) => kid.slice(0, 12)))}`;
}

function takenBack(old: Secret | undefined, next: Secret): readonly string[] {
  const single = next.revoked.filter((version) => !old || !isRevoked(old, version));
  return [
    ...(next.revokedThrough > (old?.revokedThrough ?? 0)
      ? [`${idOf(next)} IS REVOKED through version ${next.revokedThrough}`]
      : []),
    ...single.map((version) => `${idOf(next, version)} IS REVOKED`),
  ];
}

/** Versions that live on beside the newest, or no longer. */
function ended(old: Secret | undefined, next: Secret, now: number): readonly string[] {
  const live = new Set(liveVersions(next).map(({ version }) => version));
  const gone = (old ? liveVersions(old) : []).filter(
    ({ version }) => !live.has(version) && !isRevoked(next, version),
  );
  const overlapping = next.superseded.filter(
    ({ version, overlapEnd }) =>
      old?.superseded.find((before) => before.version === version)?.overlapEnd !== overlapEnd,
  );
  return [
    ...gone.map(({ version }) => `${idOf(next, version)} ends`),
    ...overlapping.map(({ version, overlapEnd }) =>
      overlapEnd > now
        ? `${idOf(next, version)} lives on until ${formatInstant(overlapEnd)}`
        : `${idOf(next, version)} ends at once: its overlap was over at ${formatInstant(overlapEnd)}`,
    ),
  ];
}

/** A version that is published already, encrypted to others now. */
function rewrapped(old: Secret | undefined, next: Secret, policy: Policy): readonly string[] {
  return (old ? liveVersions(old) : []).flatMap((before) => {
    const after = liveVersions(next).find(({ version }) => version === before.version);
    const isSame = !after || JSON.stringify(after.keys) === JSON.stringify(before.keys);
    return isSame ? [] : [`${after.path} gets other keys: ${encryptedTo(after, policy)}`];
  });
}

function granted(old: Secret | undefined, next: Secret): readonly string[] {
  const [before, after] = [grantsOf(old), grantsOf(next)];
  const gone = [...before.keys()].filter((workload) => !after.has(workload));
  const changed = [...after].filter(([workload, text]) => before.get(workload) !== text);
  return [
    ...gone.map((workload) => `${idOf(next)} is TAKEN AWAY from ${workload}`),
    ...changed.map(([workload, text]) =>
      before.has(workload)
        ? `${idOf(next)} is given to ${workload} otherwise: ${text}, before ${before.get(workload) ?? ''}`
        : `${idOf(next)} is GIVEN to ${workload}: ${text}`,
    ),
  ];
}

/** Those in force, by workload, in words. */
function grantsOf(secret: Secret | undefined): ReadonlyMap<string, string> {
  const isInForce = ({ workload }: Grant): boolean =>
    (secret?.withheld.get(workload) ?? 0) < (secret?.newestVersion ?? 0);
  const words = ({ file, uid, gid, mode }: Grant): string =>
    `file ${file}, owner ${uid}:${gid}, mode ${mode.toString(8).padStart(4, '0')}`;
  return new Map(
    (secret?.grants ?? []).filter(isInForce).map((grant) => [grant.workload as string, words(grant)]),
  );
}

function terms(old: Secret | undefined, next: Secret): readonly string[] {
  const isServed = next.whenStale === 'serve';
  return [
    ...((old?.whenStale ?? 'deny') === next.whenStale
      ? []
      : [
          isServed
            ? `${idOf(next)} is served on when a lease is over: NO BOUND on its revocation`
            : `${idOf(next)} ends with the lease`,
        ]),
    ...(old && old.overlapSeconds !== next.overlapSeconds
      ? [`${idOf(next)} has an overlap of ${next.overlapSeconds} s, before ${old.overlapSeconds} s`]
      : []),
  ];
}
