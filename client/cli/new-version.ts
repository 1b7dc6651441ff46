// Makes the next version of secrets: a fresh data key and nonce each, the envelope, one wrapped key per recipient. Several of
// one namespace go into one publish. `put`, `rotate` and `import` differ only in what they demand of a secret before.
import { randomFillSync } from 'node:crypto';
import { ManifestError } from '../../manifest/errors.ts';
import type { JsonObject } from '../../manifest/json.ts';
import type { Namespace, SecretName, SecretReference } from '../../manifest/names.ts';
import { targetPath } from '../../manifest/names.ts';
import { addVersion, catchUp } from '../../manifest/realm/change.ts';
import { ENVELOPE, sealEnvelope } from '../../manifest/realm/envelope.ts';
import type { VersionContext } from '../../manifest/realm/envelope.ts';
import type { Grant } from '../../manifest/realm/grant.ts';
import { wrapKey } from '../../manifest/realm/key-wrap.ts';
import type { WrappedKey } from '../../manifest/realm/jwe.ts';
import type { WhenStale } from '../../manifest/realm/policy.ts';
import type { ImportedRecipient } from '../../manifest/realm/recipient.ts';
import type { Secret } from '../../manifest/realm/secret.ts';
import { sha256 } from '../../manifest/tuf/metadata.ts';
import type { RealmState } from '../reading.ts';
import { policyOf, secretsOf, targetsOf } from './session.ts';
import type { Edit, Session } from './session.ts';
import type { Stopwatch } from './stopwatch.ts';

export interface VersionTerms {
  /** Added to the grants that the secret has already. */
  readonly grants: readonly Grant[];
  /** Seconds; when absent, as it was, or DEFAULT_OVERLAP_SECONDS. */
  readonly overlapSeconds: number | undefined;
  /** When absent, as it was, or `deny`. */
  readonly whenStale: WhenStale | undefined;
}

const DEFAULT_OVERLAP_SECONDS = 300;

export interface NewValue {
  readonly name: SecretName;
  /** The caller zeroes it. */
  readonly value: Uint8Array;
  readonly terms: VersionTerms;
}

export interface NewVersion {
  readonly name: SecretName;
  readonly version: number;
  readonly grants: readonly Grant[];
  /** Workloads whose access a revoker took back: the new version does not go to them. */
  readonly dropped: readonly string[];
  readonly whenStale: WhenStale;
}

/** The edit that makes one next version of each secret, and what it makes. */
export async function addVersions(
  session: Session,
  state: RealmState,
  watch: Stopwatch,
  namespace: Namespace,
  values: readonly NewValue[],
): Promise<{ readonly edit: Edit; readonly made: readonly NewVersion[] }> {
  const secrets = secretsOf(state, namespace);
  const policy = policyOf(state, namespace);
  const recipients = await session.recipients(policy);
  const now = session.clock.now();
  let targets: JsonObject = catchUp(targetsOf(state, namespace), secrets.values(), now);
  const made: NewVersion[] = [];
  const files: Uint8Array[] = [];
  for (const { name, value, terms } of values) {
    const secret = secrets.get(name);
    const next = nextOf(name, secret, terms);
    if (next.whenStale === 'serve' && policy.whenStale !== 'serve') throw notAllowed(namespace);
    const context = { realm: session.updater.realm, namespace, name, version: next.version };
    const { envelope, keys } = await sealVersion(value, context, recipients);
    const version = {
      ...next,
      length: envelope.length,
      sha256: sha256(envelope),
      keys,
      overlapSeconds: terms.overlapSeconds ?? secret?.overlapSeconds ?? DEFAULT_OVERLAP_SECONDS,
    };
    targets = addVersion(targets, { namespace, name, secret }, version, now);
    files.push(envelope);
    made.push(next);
  }
  watch.lap('seal');
  return { edit: { roles: [{ role: namespace, change: { targets } }], files }, made };
}

/** A fresh data key, the envelope under it, and the key for each recipient. The caller zeroes `value`. */
export async function sealVersion(
  value: Uint8Array,
  context: VersionContext,
  recipients: readonly ImportedRecipient[],
): Promise<{ envelope: Uint8Array; keys: readonly WrappedKey[] }> {
  const dataKey = randomFillSync(new Uint8Array(ENVELOPE.keyBytes));
  try {
    const nonce = randomFillSync(new Uint8Array(ENVELOPE.nonceBytes));
    const envelope = sealEnvelope(value, dataKey, nonce, context);
    const keys = await Promise.all(recipients.map((recipient) => wrapKey(dataKey, recipient, context)));
    return { envelope, keys };
  } finally {
    dataKey.fill(0);
  }
}

function nextOf(name: SecretName, secret: Secret | undefined, terms: VersionTerms): NewVersion {
  const isKept = ({ workload }: Grant): boolean =>
    !secret || (secret.withheld.get(workload) ?? 0) < secret.newestVersion;
  const old = secret?.grants ?? [];
  const grants = mergeGrants(old.filter(isKept), terms.grants);
  return {
    name,
    version: (secret?.newestVersion ?? 0) + 1,
    grants,
    dropped: old
      .filter((grant) => !grants.some(({ workload }) => workload === grant.workload))
      .map(({ workload }) => workload),
    whenStale: terms.whenStale ?? secret?.whenStale ?? 'deny',
  };
}

/** A workload has one grant for a secret: a later one replaces an earlier one. */
export function mergeGrants(old: readonly Grant[], added: readonly Grant[]): readonly Grant[] {
  return [...old.filter((grant) => !added.some((other) => other.workload === grant.workload)), ...added];
}

/** What became of grants that a revoker took back. */
export function droppedLines(made: readonly NewVersion[]): readonly string[] {
  return made
    .filter(({ dropped }) => dropped.length > 0)
    .map(({ name, dropped }) => `${name}: access was taken back from ${dropped.join(', ')}, and stays so`);
}

/** `payments/db-password@3`, for people. */
export function versionName({ namespace, name }: SecretReference, version: number): string {
  return targetPath(namespace, name, version);
}

function notAllowed(namespace: Namespace): ManifestError {
  return new ManifestError(
    'policy-exceeded',
    `the policy of ${namespace} does not let its secrets be served when the lease is over`,
  );
}
