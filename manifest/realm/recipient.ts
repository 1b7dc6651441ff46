// Who can be encrypted to: a public X25519 key as RFC 8037 writes it, named by its RFC 7638 thumbprint (`kid`). Pools,
// custodians and hosts are recipients; each JSON form is the JWK alone, since the thumbprint follows from it.
import { createHash } from 'node:crypto';
import type { webcrypto } from 'node:crypto';
import { importJWK } from 'jose';
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { object, string } from '../shape.ts';

export interface RecipientKey {
  readonly kty: 'OKP';
  readonly crv: 'X25519';
  readonly x: string;
}

/** A public Ed25519 key as RFC 8037 writes it: what a host signs its tokens and receipts with. */
export interface SigningKey {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
}

export interface Recipient {
  readonly kid: string;
  /** The pool's epoch; 0 for a person or a host. */
  readonly epoch: number;
  readonly key: RecipientKey;
}

/** A recipient whose key is ready for use. */
export interface ImportedRecipient {
  readonly kid: string;
  readonly epoch: number;
  readonly key: webcrypto.CryptoKey;
}

/** RFC 7638: sha256, base64url, of the members in their lexicographic order. */
export function thumbprint({ crv, kty, x }: RecipientKey | SigningKey): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url');
}

export function recipientOf(key: RecipientKey, epoch = 0): Recipient {
  return { kid: thumbprint(key), epoch, key };
}

/** @throws ManifestError key-unsupported: no X25519 key, or one that is not what `kid` names */
export async function importRecipient({ kid, epoch, key }: Recipient): Promise<ImportedRecipient> {
  const refused = (cause?: unknown): ManifestError =>
    new ManifestError('key-unsupported', `the recipient ${kid} has no X25519 key of that thumbprint`, {
      cause,
    });
  if (thumbprint(key) !== kid) throw refused();
  try {
    return { kid, epoch, key: await importJWK({ kty: key.kty, crv: key.crv, x: key.x }, 'ECDH-ES') };
  } catch (cause) {
    throw refused(cause);
  }
}

/** @throws ManifestError key-unsupported */
export function readRecipientKey(value: Json | undefined, where: string): RecipientKey {
  return { kty: 'OKP', crv: 'X25519', x: readX(value, 'X25519', where) };
}

/** @throws ManifestError key-unsupported */
export function readSigningKey(value: Json | undefined, where: string): SigningKey {
  return { kty: 'OKP', crv: 'Ed25519', x: readX(value, 'Ed25519', where) };
}

export function keyJson({ kty, crv, x }: RecipientKey | SigningKey): JsonObject {
  return { kty, crv, x };
}

/** 32 bytes in the one canonical spelling of base64url, so that two texts are never one key. */
function readX(value: Json | undefined, curve: string, where: string): string {
  const raw = object(value, where);
  const x = string(raw['x'], `${where}.x`);
  const bytes = Buffer.from(x, 'base64url');
  const isCanonical = bytes.length === 32 && bytes.toString('base64url') === x;
  if (raw['kty'] !== 'OKP' || raw['crv'] !== curve || !isCanonical) {
    throw new ManifestError('key-unsupported', `${where}: a public ${curve} key expected`);
  }
  return x;
}
