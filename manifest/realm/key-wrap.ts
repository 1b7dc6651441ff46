// A version's data key, wrapped once per recipient as a compact JWE: ECDH-ES with A256GCM (RFC 7518 §4.6, RFC 8037
// for X25519). `kid` is the recipient's RFC 7638 thumbprint. Whoever unwraps rebuilds the protected header from
// what it expects and compares bytes, so an attacker chooses neither algorithm, nor `zip`, nor any other member.
import { CompactEncrypt, calculateJwkThumbprint, compactDecrypt, importJWK } from 'jose';
import type { KeyObject, webcrypto } from 'node:crypto';
import { ManifestError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { ENVELOPE } from './envelope.ts';
import type { VersionContext } from './envelope.ts';

/** A public X25519 key as RFC 8037 writes it. */
export interface RecipientKey {
  readonly kty: 'OKP';
  readonly crv: 'X25519';
  readonly x: string;
}

export interface Recipient {
  /** RFC 7638 thumbprint of the public key. */
  readonly kid: string;
  /** The pool's epoch; 0 for a custodian. */
  readonly epoch: number;
  readonly key: RecipientKey;
}

/** A recipient whose key is ready for use. */
export interface ImportedRecipient {
  readonly kid: string;
  readonly epoch: number;
  readonly key: webcrypto.CryptoKey;
}

/** One recipient's copy of the data key, as it stands in a secret's `custom.keys`. */
export interface WrappedKey {
  readonly kid: string;
  readonly epoch: number;
  readonly jwe: string;
}

export async function thumbprint(key: RecipientKey): Promise<string> {
  return calculateJwkThumbprint({ kty: key.kty, crv: key.crv, x: key.x });
}

/** @throws ManifestError key-unsupported: no X25519 key, or one that is not what `kid` names */
export async function importRecipient({ kid, epoch, key }: Recipient): Promise<ImportedRecipient> {
  const refused = (cause?: unknown): ManifestError =>
    new ManifestError('key-unsupported', `the recipient ${kid} has no X25519 key of that thumbprint`, {
      cause,
    });
  try {
    if ((await thumbprint(key)) !== kid) throw refused();
    const imported = await importJWK({ kty: key.kty, crv: key.crv, x: key.x }, 'ECDH-ES');
    return { kid, epoch, key: imported };
  } catch (cause) {
    throw cause instanceof ManifestError ? cause : refused(cause);
  }
}

/** The protected header without `epk`, in its one member order. */
function header(context: VersionContext, kid: string, epoch: number) {
  const { realm, namespace, name, version } = context;
  return {
    alg: 'ECDH-ES',
    enc: 'A256GCM',
    kid,
    purpose: 'lapse-data-key',
    realm,
    namespace,
    name,
    version,
    epoch,
  };
}

export async function wrapKey(
  dataKey: Uint8Array,
  recipient: ImportedRecipient,
  context: VersionContext,
): Promise<WrappedKey> {
  const { kid, epoch, key } = recipient;
  const jwe = await new CompactEncrypt(dataKey).setProtectedHeader(header(context, kid, epoch)).encrypt(key);
  return { kid, epoch, jwe };
}

/**
 * Unwraps a data key. The caller moves the returned 32 bytes into locked memory and zeroes them.
 * @throws ManifestError key-wrap-mismatch, for a header that is not the expected one, a wrong key, altered bytes
 */
export async function unwrapKey(
  wrapped: WrappedKey,
  privateKey: KeyObject,
  context: VersionContext,
): Promise<Uint8Array> {
  checkHeader(wrapped, context);
  let plaintext: Uint8Array;
  try {
    ({ plaintext } = await compactDecrypt(wrapped.jwe, privateKey, {
      keyManagementAlgorithms: ['ECDH-ES'],
      contentEncryptionAlgorithms: ['A256GCM'],
    }));
  } catch {
    throw mismatch('it does not decrypt with this key');
  }
  if (plaintext.length !== ENVELOPE.keyBytes) {
    plaintext.fill(0);
    throw mismatch('it holds no data key');
  }
  return plaintext;
}

function checkHeader({ jwe, kid, epoch }: WrappedKey, context: VersionContext): void {
  if (jwe.length > LIMITS.jweBytes) throw mismatch('it is too long');
  const received = Buffer.from(jwe.slice(0, jwe.indexOf('.')), 'base64url');
  const x = /"epk":\{"x":"([A-Za-z0-9_-]{43})",/.exec(received.toString('latin1'))?.[1];
  if (x === undefined) throw mismatch('its header has no X25519 epk');
  const expected = JSON.stringify({ ...header(context, kid, epoch), epk: { x, crv: 'X25519', kty: 'OKP' } });
  if (!received.equals(Buffer.from(expected))) throw mismatch('its header is not the expected one');
}

function mismatch(why: string): ManifestError {
  return new ManifestError('key-wrap-mismatch', `a wrapped data key was refused: ${why}`);
}
