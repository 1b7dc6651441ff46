// Makes and publishes the next version of a secret: a fresh data key and nonce, the envelope, one wrapped key per
// recipient. `put` and `rotate` differ only in what they demand of the secret before.
import { randomFillSync } from 'node:crypto';
import type { SecretReference } from '../../manifest/names.ts';
import { targetPath } from '../../manifest/names.ts';
import { addVersion } from '../../manifest/realm/change.ts';
import { ENVELOPE, sealEnvelope } from '../../manifest/realm/envelope.ts';
import type { VersionContext } from '../../manifest/realm/envelope.ts';
import type { Grant } from '../../manifest/realm/grant.ts';
import { wrapKey } from '../../manifest/realm/key-wrap.ts';
import type { ImportedRecipient, WrappedKey } from '../../manifest/realm/key-wrap.ts';
import { sha256 } from '../../manifest/tuf/metadata.ts';
import type { Secrets } from '../updater.ts';
import type { Session } from './session.ts';
import type { Stopwatch } from './stopwatch.ts';

export interface VersionTerms {
  /** Added to the grants that the secret has already. */
  readonly grants: readonly Grant[];
  /** Seconds; when absent, as it was, or DEFAULT_OVERLAP_SECONDS. */
  readonly overlapSeconds: number | undefined;
}

const DEFAULT_OVERLAP_SECONDS = 300;

export interface NewVersion {
  readonly version: number;
  readonly grants: readonly Grant[];
  readonly timestamp: number;
}

/** Zeroes `value`. `check` sees the namespace as it is, and may refuse. */
export async function publishVersion(
  session: Session,
  watch: Stopwatch,
  { namespace, name }: SecretReference,
  value: Buffer,
  terms: VersionTerms,
  check: (secrets: Secrets) => unknown = () => undefined,
): Promise<NewVersion> {
  let made = { version: 0, grants: terms.grants };
  try {
    const published = await session.publish(namespace, watch, async (targets, secrets) => {
      check(secrets);
      const secret = secrets.get(name);
      made = {
        version: (secret?.newestVersion ?? 0) + 1,
        grants: mergeGrants(secret?.grants ?? [], terms.grants),
      };
      const context = { realm: session.updater.realm, namespace, name, version: made.version };
      const { envelope, keys } = await seal(value, context, session.recipients);
      watch.lap('seal');
      const next = {
        ...made,
        length: envelope.length,
        sha256: sha256(envelope),
        keys,
        overlapSeconds: terms.overlapSeconds ?? secret?.overlapSeconds ?? DEFAULT_OVERLAP_SECONDS,
      };
      return {
        targets: addVersion(targets, { namespace, name, secret }, next, session.clock.now()),
        envelopes: [envelope],
      };
    });
    return { ...made, timestamp: published.timestamp };
  } finally {
    value.fill(0);
  }
}

async function seal(
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

/** A workload has one grant for a secret: a later one replaces an earlier one. */
export function mergeGrants(old: readonly Grant[], added: readonly Grant[]): readonly Grant[] {
  return [...old.filter((grant) => !added.some((other) => other.workload === grant.workload)), ...added];
}

/** `payments/db-password@3`, for people. */
export function versionName({ namespace, name }: SecretReference, version: number): string {
  return targetPath(namespace, name, version);
}
