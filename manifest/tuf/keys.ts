// Public keys of TUF roles, and the check that a threshold of them signed. ed25519 only for now: an unknown key
// type is kept but can never count, as TUF 1.0.34 §4.2 wants of keys that a client does not understand.
import { createHash, createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { array, hex, integer, object, string } from '../shape.ts';
import type { Where } from '../shape.ts';

/** Hexadecimal sha256 of the canonical key (TUF 1.0.34 §4.2). */
export type KeyId = string;

export interface RoleKeys {
  readonly threshold: number;
  /** In the order of the metadata. A key id without a usable key is left out: it cannot sign. */
  readonly keys: ReadonlyMap<KeyId, PublicKey>;
}

export interface PublicKey {
  /** What makes two keys the same, whatever ids they are listed under. */
  readonly material: string;
  readonly key: KeyObject;
}

export interface Signature {
  readonly keyid: KeyId;
  readonly sig: Uint8Array;
}

export function ed25519KeyJson(publicHex: string): JsonObject {
  return { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: publicHex } };
}

export function keyId(key: JsonObject): KeyId {
  return createHash('sha256').update(canonicalJson(key)).digest('hex');
}

export function parseKeys(value: Json | undefined, where: Where): ReadonlyMap<KeyId, PublicKey> {
  const keys = new Map<KeyId, PublicKey>();
  for (const [id, key] of Object.entries(object(value, where))) {
    const parsed = parseKey(object(key, `${where}.${id}`), `${where}.${id}`);
    if (parsed) keys.set(id, parsed);
  }
  return keys;
}

function parseKey(key: JsonObject, where: Where): PublicKey | undefined {
  if (key['keytype'] !== 'ed25519' || key['scheme'] !== 'ed25519') return undefined;
  const raw = hex(object(key['keyval'], `${where}.keyval`)['public'], `${where}.keyval.public`, 32);
  const x = Buffer.from(raw, 'hex').toString('base64url');
  return {
    material: `ed25519:${raw}`,
    key: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
  };
}

/** Reads `{keyids, threshold}` against the keys that the same document lists. */
export function parseRoleKeys(role: JsonObject, all: ReadonlyMap<KeyId, PublicKey>, where: Where): RoleKeys {
  const ids = array(role['keyids'], `${where}.keyids`, LIMITS.keysPerRole).map((id) =>
    string(id, `${where}.keyids`),
  );
  if (new Set(ids).size !== ids.length) {
    throw new ManifestError('metadata-malformed', `${where}.keyids: a key id stands twice`);
  }
  const keys = new Map<KeyId, PublicKey>();
  for (const id of ids) {
    const key = all.get(id);
    if (key) keys.set(id, key);
  }
  return { keys, threshold: integer(role['threshold'], `${where}.threshold`, 1, LIMITS.keysPerRole) };
}

/**
 * TUF 1.0.34 §5.3.4: each key counts once, and a key listed under two ids is still one key.
 * @throws ManifestError signature-threshold
 */
export function checkThreshold(
  roleName: string,
  role: RoleKeys,
  signatures: readonly Signature[],
  signed: Uint8Array,
): void {
  const counted = new Set<string>();
  for (const { keyid, sig } of signatures) {
    const key = role.keys.get(keyid);
    if (key && !counted.has(key.material) && verify(null, signed, key.key, sig)) counted.add(key.material);
  }
  if (counted.size < role.threshold) {
    throw new ManifestError(
      'signature-threshold',
      `${roleName} needs ${role.threshold} valid signatures of its keys, ${counted.size} found`,
    );
  }
}
