// Public keys of TUF roles, and the check that a threshold of them signed: ed25519, ecdsa-sha2-nistp256 and
// rsassa-pss-sha256. A key of any other type or scheme is kept in the file but can never count, as TUF 1.0.34 §4.2 wants of
// keys that a client does not understand; nor can a PEM that holds no key of its type.
import { createHash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { array, hex, integer, object, string } from '../shape.ts';
import type { Where } from '../shape.ts';
import { PublicKey } from './public-key.ts';

/** Hexadecimal sha256 of the canonical key (TUF 1.0.34 §4.2). */
export type KeyId = string;

export interface RoleKeys {
  readonly threshold: number;
  /** In the order of the metadata. A key id without a usable key is left out: it cannot sign. */
  readonly keys: ReadonlyMap<KeyId, PublicKey>;
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
  const text = (): Json | undefined => object(key['keyval'], `${where}.keyval`)['public'];
  switch (`${nameOf(key['keytype'])} ${nameOf(key['scheme'])}`) {
    case 'ed25519 ed25519':
      return new PublicKey('ed25519', hex(text(), `${where}.keyval.public`, 32));
    case 'ecdsa ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp256 ecdsa-sha2-nistp256':
      return new PublicKey('ecdsa-sha2-nistp256', string(text(), `${where}.keyval.public`));
    case 'rsa rsassa-pss-sha256':
      return new PublicKey('rsassa-pss-sha256', string(text(), `${where}.keyval.public`));
    default:
      return undefined;
  }
}

function nameOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
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

/** Of some signatures those that count: valid, and one for each key, however many ids it is listed under. */
export function validSignatures(
  role: RoleKeys,
  signatures: readonly Signature[],
  signed: Uint8Array,
): readonly Signature[] {
  const counted = new Set<string>();
  return signatures.filter(({ keyid, sig }) => {
    const key = role.keys.get(keyid);
    const material = key?.material;
    if (material === undefined || counted.has(material) || !key?.verifies(signed, sig)) return false;
    counted.add(material);
    return true;
  });
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
  const { length: found } = validSignatures(role, signatures, signed);
  if (found < role.threshold) {
    throw new ManifestError(
      'signature-threshold',
      `${roleName} needs ${role.threshold} valid signatures of its keys, ${found} found`,
    );
  }
}

/** Whether two roles are signed by the same keys, whatever ids they are listed under, and as many of them. */
export function sameKeys(a: RoleKeys, b: RoleKeys): boolean {
  const materials = (role: RoleKeys): string =>
    [...new Set([...role.keys.values()].flatMap((key) => key.material ?? []))].sort().join();
  return a.threshold === b.threshold && materials(a) === materials(b);
}
