// The next snapshot and the next timestamp, built, signed, and then put to the very state machine that every client
// runs: what the service publishes is, by construction, what a client accepts. Pure: keys and a time are passed in.
import type { JsonObject } from '../manifest/json.ts';
import { leaseMs, timestampLifetimeMs } from '../manifest/realm/lease.ts';
import { delegatorOf } from '../manifest/realm/realm.ts';
import { formatInstant, object } from '../manifest/shape.ts';
import { SPEC_VERSION, sha256, signMetadata } from '../manifest/tuf/metadata.ts';
import type { Header, Signer, Verified } from '../manifest/tuf/metadata.ts';
import type { Snapshot } from '../manifest/tuf/snapshot.ts';
import { updateSnapshot, updateTargets, updateTimestamp } from '../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../manifest/tuf/trusted-set.ts';
import { complete } from './current.ts';
import type { CompleteSet } from './current.ts';

export interface OnlineSigners {
  readonly snapshot: Signer;
  readonly timestamp: Signer;
}

/** A new file of a targets role; its version is what the file itself claims. */
export interface RoleFile {
  readonly name: string;
  readonly version: number;
  readonly bytes: Uint8Array;
}

const SNAPSHOT_LIFETIME_MS = 30 * 24 * 3600_000;

/**
 * The state after `changed`, each after the role that delegates to it: a new timestamp, and a new snapshot unless nothing changed and the old one will do.
 * `before` is what its versions follow, when a new root has made `set` forget it.
 * @throws ManifestError whatever a client would say to these files
 */
export function nextState(
  set: TrustedSet,
  signers: OnlineSigners,
  changed: readonly RoleFile[],
  lease: number,
  now: number,
  before = set,
): CompleteSet {
  const old = before.snapshot;
  const isKept = old === set.snapshot && changed.length === 0;
  const snapshot =
    old && isKept && isFresh(old.role, SNAPSHOT_LIFETIME_MS, now)
      ? { version: old.role.version, bytes: old.bytes }
      : signSnapshot(signers.snapshot, old, changed, now);
  const version = (before.timestamp?.role.version ?? 0) + 1;
  const timestamp = signTimestamp(signers.timestamp, version, snapshot, lease, now);
  const base = updateSnapshot(updateTimestamp(set, timestamp, now), snapshot.bytes, now);
  return complete(
    changed.reduce((next, { name, bytes }) => updateTargets(next, name, bytes, now, delegatorIn(name)), base),
  );
}

/** Left out for `targets`, which root delegates. */
function delegatorIn(name: string): string | undefined {
  return name === 'targets' ? undefined : delegatorOf(name);
}

/** Whether hosts may still be given this timestamp, or a newer one must be signed first. */
export function isTimestampFresh({ timestamp }: CompleteSet, now: number): boolean {
  return isFresh(timestamp.role, timestampLifetimeMs(leaseMs(timestamp) / 1000), now);
}

/** At least half of its life remains, and not more than the whole: then it was signed by a clock that ran ahead. */
function isFresh({ expires }: Header, lifetime: number, now: number): boolean {
  const left = expires - now;
  return left >= lifetime / 2 && left <= lifetime;
}

function signSnapshot(
  signer: Signer,
  old: Verified<Snapshot> | undefined,
  changed: readonly RoleFile[],
  now: number,
): { version: number; bytes: Uint8Array } {
  const version = (old?.role.version ?? 0) + 1;
  const kept = old ? object(old.raw['meta'], 'snapshot.meta') : {};
  const meta = {
    ...kept,
    ...Object.fromEntries(changed.map((file) => [`${file.name}.json`, fileMeta(file)])),
  };
  const signed = { ...header('snapshot', version, now + SNAPSHOT_LIFETIME_MS), meta };
  return { version, bytes: signMetadata(signed, [signer]) };
}

function signTimestamp(
  signer: Signer,
  version: number,
  snapshot: { version: number; bytes: Uint8Array },
  lease: number,
  now: number,
): Uint8Array {
  const signed = {
    ...header('timestamp', version, now + timestampLifetimeMs(lease)),
    lease,
    meta: { 'snapshot.json': fileMeta(snapshot) },
  };
  return signMetadata(signed, [signer]);
}

function header(type: string, version: number, expires: number): JsonObject {
  return { _type: type, spec_version: SPEC_VERSION, version, expires: formatInstant(expires) };
}

function fileMeta({ version, bytes }: { version: number; bytes: Uint8Array }): JsonObject {
  return { version, length: bytes.length, hashes: { sha256: sha256(bytes) } };
}
