// A key encrypted to one recipient, as a compact JWE (RFC 7516): ECDH-ES with A256GCM (RFC 7518 §4.6, RFC 8037 for
// X25519). Whoever unwraps rebuilds the protected header from what it expects and compares bytes, so an attacker
// chooses neither algorithm, nor `zip`, nor any other member. `purpose` tells the kinds of wrapped keys apart.
import { CompactEncrypt, compactDecrypt } from 'jose';
import type { KeyObject } from 'node:crypto';
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { integer, object, string } from '../shape.ts';
import type { ImportedRecipient } from './recipient.ts';

/** One recipient's copy of a key. */
export interface WrappedKey {
  readonly kid: string;
  readonly epoch: number;
  readonly jwe: string;
}

/** The members that tie a wrapped key to its place, behind `kid` and `purpose`, in their one order. */
export type Binding = Readonly<Record<string, string | number>>;

/** Decrypts a compact JWE whose header was checked; the private key stays with whoever made the function. */
export type Decrypt = (jwe: string) => Promise<Uint8Array>;

export function decryptWith(privateKey: KeyObject): Decrypt {
  return async (jwe) => {
    const { plaintext } = await compactDecrypt(jwe, privateKey, {
      keyManagementAlgorithms: ['ECDH-ES'],
      contentEncryptionAlgorithms: ['A256GCM'],
    });
    return plaintext;
  };
}

export async function wrap(
  key: Uint8Array,
  recipient: ImportedRecipient,
  purpose: string,
  binding: Binding,
): Promise<WrappedKey> {
  const { kid, epoch } = recipient;
  const jwe = await new CompactEncrypt(key)
    .setProtectedHeader(header(kid, purpose, binding))
    .encrypt(recipient.key);
  return { kid, epoch, jwe };
}

/**
 * The 32 bytes of a wrapped key. The caller zeroes them.
 * @throws ManifestError key-wrap-mismatch, for a header that is not the expected one, a wrong key, altered bytes
 */
export async function unwrap(
  { kid, jwe }: WrappedKey,
  decrypt: Decrypt,
  purpose: string,
  binding: Binding,
): Promise<Uint8Array> {
  checkHeader(jwe, header(kid, purpose, binding));
  let plaintext: Uint8Array;
  try {
    plaintext = await decrypt(jwe);
  } catch (cause) {
    throw mismatch('it does not decrypt with this key', cause);
  }
  if (plaintext.length !== 32) {
    plaintext.fill(0);
    throw mismatch('it holds no key of 32 bytes');
  }
  return plaintext;
}

export function readWrappedKey(value: Json | undefined, where: string): WrappedKey {
  const key = object(value, where);
  return {
    kid: string(key['kid'], `${where}.kid`),
    epoch: integer(key['epoch'], `${where}.epoch`),
    jwe: string(key['jwe'], `${where}.jwe`),
  };
}

export function wrappedKeyJson({ kid, epoch, jwe }: WrappedKey): JsonObject {
  return { kid, epoch, jwe };
}

/** The protected header without `epk`, in its one member order. */
function header(kid: string, purpose: string, binding: Binding) {
  return { alg: 'ECDH-ES', enc: 'A256GCM', kid, purpose, ...binding };
}

function checkHeader(jwe: string, expectedHeader: object): void {
  if (jwe.length > LIMITS.jweBytes) throw mismatch('it is too long');
  const received = Buffer.from(jwe.slice(0, jwe.indexOf('.')), 'base64url');
  const x = /"epk":\{"x":"([A-Za-z0-9_-]{43})",/.exec(received.toString('latin1'))?.[1];
  if (x === undefined) throw mismatch('its header has no X25519 epk');
  const expected = JSON.stringify({ ...expectedHeader, epk: { x, crv: 'X25519', kty: 'OKP' } });
  if (!received.equals(Buffer.from(expected))) throw mismatch('its header is not the expected one');
}

function mismatch(why: string, cause?: unknown): ManifestError {
  return new ManifestError('key-wrap-mismatch', `a wrapped key was refused: ${why}`, { cause });
}
