// A TUF repository in memory for attacks: keys from fixed seeds, roles signed in whatever version, expiry and by
// whatever keys a test wants, and the check that a refused file moved no trust. Times are fixed numbers.
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { inspect } from 'node:util';
import { expect } from 'vitest';
import { ManifestError } from '../../../manifest/errors.ts';
import type { ManifestCode } from '../../../manifest/errors.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseNamespace, parsePoolName } from '../../../manifest/names.ts';
import type { Policy } from '../../../manifest/realm/policy.ts';
import { publicHalf } from '../../../manifest/realm/pool-key.ts';
import { delegateNamespace, firstRoot, firstTargets, genesisTargets } from '../../../manifest/realm/realm.ts';
import type { Signatories } from '../../../manifest/realm/realm.ts';
import { recipientOf } from '../../../manifest/realm/recipient.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import { ed25519KeyJson, keyId } from '../../../manifest/tuf/keys.ts';
import { SPEC_VERSION, sha256, signMetadata } from '../../../manifest/tuf/metadata.ts';
import type { Signer, Verified } from '../../../manifest/tuf/metadata.ts';
import { parseTargets } from '../../../manifest/tuf/targets.ts';
import type { Targets } from '../../../manifest/tuf/targets.ts';
import {
  trustRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../../manifest/tuf/trusted-set.ts';

export const NOW = Date.UTC(2026, 0, 31, 12);
/** When everything here expires unless a test says otherwise. */
export const LATER = NOW + 3_600_000;
export const PAYMENTS = parseNamespace('payments');

export interface TestKey extends Signer {
  /** The raw public key. */
  readonly hex: string;
}

/** A private key of 32 times the same byte. */
export function privateKey(curve: 'ed25519' | 'x25519', byte: number): KeyObject {
  const oid = { ed25519: '2b6570', x25519: '2b656e' }[curve];
  const der = Buffer.from(`302e02010030050603${oid}04220420${Buffer.alloc(32, byte).toString('hex')}`, 'hex');
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** An ed25519 key whose seed is 32 times the same byte. */
export function testKey(seed: number): TestKey {
  const key = privateKey('ed25519', seed);
  const hex = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
  return { hex, keyid: keyId(ed25519KeyJson(hex)), sign: (bytes) => sign(null, bytes, key) };
}

export const KEYS = {
  root: testKey(1),
  timestamp: testKey(2),
  snapshot: testKey(3),
  targets: testKey(4),
  payments: testKey(5),
  fleet: testKey(6),
  revoker: testKey(7),
  fleetHosts: testKey(8),
  stranger: testKey(9),
};
type Keys = typeof KEYS;

export const POOL = parsePoolName('default');
/** A person who can decrypt what is put, and every pool's key. */
export const CUSTODIAN = recipientOf(publicHalf(privateKey('x25519', 0x66)));
export const POLICY: Policy = { pools: [POOL], custodians: [CUSTODIAN], whenStale: 'deny' };

/** One key is enough. */
export const one = ({ hex }: TestKey): Signatories => ({ signers: [hex], threshold: 1 });

/** The signed part of root 1, with `change` on top. */
export function rootJson(change: JsonObject = {}, keys: Keys = KEYS): JsonObject {
  const { root, timestamp, snapshot, targets } = keys;
  const roles = {
    root: one(root),
    timestamp: one(timestamp),
    snapshot: one(snapshot),
    targets: one(targets),
  };
  return { ...firstRoot(roles, LATER), ...change };
}

/** The signed part of a targets role, with `change` on top. */
export function targetsJson(change: JsonObject = {}): JsonObject {
  return { ...firstTargets(LATER), ...change };
}

/** The signed part of a top-level targets that delegates to `fleet` and to `payments`. */
export function delegatingJson(change: JsonObject = {}, keys: Keys = KEYS): JsonObject {
  const genesis = genesisTargets(one(keys.fleet), LATER);
  const terms = { ...one(keys.payments), revokers: [], policy: POLICY };
  return { ...genesis, ...delegateNamespace(unsigned(genesis), PAYMENTS, terms), ...change };
}

/** A targets role as it would be if somebody had signed it. */
export function unsigned(signed: JsonObject): Verified<Targets> {
  const { file, role } = parseTargets(signMetadata(signed, []));
  return { bytes: file.bytes, sha256: sha256(file.bytes), raw: file.raw, role };
}

/** How snapshot and timestamp name a file. */
export function fileMeta(bytes: Uint8Array, version: number): JsonObject {
  return { version, length: bytes.length, hashes: { sha256: sha256(bytes) } };
}

export function snapshotJson(meta: JsonObject, change: JsonObject = {}): JsonObject {
  return {
    _type: 'snapshot',
    spec_version: SPEC_VERSION,
    version: 1,
    expires: formatInstant(LATER),
    meta,
    ...change,
  };
}

export function timestampJson(snapshot: JsonObject, change: JsonObject = {}): JsonObject {
  return {
    _type: 'timestamp',
    spec_version: SPEC_VERSION,
    version: 1,
    expires: formatInstant(LATER),
    meta: { 'snapshot.json': snapshot },
    lease: 60,
    ...change,
  };
}

type RoleName = 'root' | 'timestamp' | 'snapshot' | 'targets' | 'payments';
export type Files = Readonly<Record<RoleName, Uint8Array>>;
/** What a test wants to differ, role by role: members of the signed part, `version` above all. */
type Changes = Readonly<Partial<Record<RoleName, JsonObject & { version?: number }>>>;

/** A consistent set of files: the timestamp names the snapshot, which names both targets roles. */
export function publish(changes: Changes = {}, keys: Keys = KEYS): Files {
  const version = (role: RoleName): number => changes[role]?.version ?? 1;
  const targets = signMetadata(delegatingJson(changes.targets, keys), [keys.targets]);
  const payments = signMetadata(targetsJson(changes.payments), [keys.payments]);
  const meta = {
    'targets.json': fileMeta(targets, version('targets')),
    'payments.json': fileMeta(payments, version('payments')),
  };
  const snapshot = signMetadata(snapshotJson(meta, changes.snapshot), [keys.snapshot]);
  const timestamp = timestampJson(fileMeta(snapshot, version('snapshot')), changes.timestamp);
  return {
    root: signMetadata(rootJson(changes.root, keys), [keys.root]),
    targets,
    payments,
    snapshot,
    timestamp: signMetadata(timestamp, [keys.timestamp]),
  };
}

/** A consistent set whose every online role and namespace has this version. */
export function publishAll(version: number, keys: Keys = KEYS): Files {
  const change = { version };
  return publish({ timestamp: change, snapshot: change, targets: change, payments: change }, keys);
}

/** Takes in a timestamp and all below it. Without `now`, as from the disk. */
export function update(set: TrustedSet, files: Files, now?: number): TrustedSet {
  set = updateSnapshot(updateTimestamp(set, files.timestamp, now), files.snapshot, now);
  return updateTargets(updateTargets(set, 'targets', files.targets, now), 'payments', files.payments, now);
}

export function trust(files: Files, now: number = NOW): TrustedSet {
  return update(trustRoot(files.root), files, now);
}

/** The same file with one more change to its signed part, signed by `signers`. */
export function resign(signed: JsonObject, ...signers: readonly Signer[]): Uint8Array {
  return signMetadata(signed, signers);
}

/** A role as it stands in a file that nobody needs to have signed. */
export function unsignedTargets(targets: JsonObject): Targets {
  return unsigned(targetsJson({ targets })).role;
}

/** The code with which `act` refuses, or `undefined`; any other error passes through. */
export function codeOf(act: () => unknown): ManifestCode | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof ManifestError) return error.code;
    throw error;
  }
  return undefined;
}

/** The same of something that takes its time. */
export async function codeOfAsync(act: () => Promise<unknown>): Promise<ManifestCode | undefined> {
  try {
    await act();
  } catch (error) {
    if (error instanceof ManifestError) return error.code;
    throw error;
  }
  return undefined;
}

/** The attack is refused with `code`, the old state is as it was, and the honest update still works on it. */
export function expectRefused(
  set: TrustedSet,
  code: ManifestCode,
  attack: (set: TrustedSet) => TrustedSet,
  honest: (set: TrustedSet) => TrustedSet,
): void {
  const before = dump(set);
  expect(codeOf(() => attack(set))).toBe(code);
  expect(dump(set)).toBe(before);
  expect(dump(honest(set))).not.toBe(before);
  expect(dump(set)).toBe(before);
}

function dump(set: TrustedSet): string {
  return inspect(set, { depth: null, maxArrayLength: null, maxStringLength: null });
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
