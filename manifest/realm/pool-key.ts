// A pool's private key: 32 raw bytes of X25519, wrapped (`jwe.ts`) to each member host in its keyring, and to the
// fleet's custodians in `fleet`, bound to realm, pool and epoch. Never to the service. What was unwrapped must be the
// private half of the public key that `fleet` signs for that epoch.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { ManifestError } from '../errors.ts';
import type { PoolName, RealmId } from '../names.ts';
import { unwrap, wrap } from './jwe.ts';
import type { Binding, Decrypt, WrappedKey } from './jwe.ts';
import type { ImportedRecipient, RecipientKey } from './recipient.ts';

const PURPOSE = 'lapse-pool-key';
/** RFC 8410: what stands before the 32 bytes in the PKCS#8 form of an X25519 key. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');

export interface PoolKeyContext {
  readonly realm: RealmId;
  readonly pool: PoolName;
  readonly epoch: number;
}

function binding({ realm, pool, epoch }: PoolKeyContext): Binding {
  return { realm, pool, epoch };
}

export async function wrapPoolKey(
  raw: Uint8Array,
  recipient: ImportedRecipient,
  context: PoolKeyContext,
): Promise<WrappedKey> {
  return wrap(raw, recipient, PURPOSE, binding(context));
}

/**
 * The raw 32 bytes; the caller zeroes them.
 * @throws ManifestError key-wrap-mismatch, also when they are not the private half of `expected`
 */
export async function unwrapPoolKey(
  wrapped: WrappedKey,
  decrypt: Decrypt,
  context: PoolKeyContext,
  expected: RecipientKey,
): Promise<Uint8Array> {
  const raw = await unwrap(wrapped, decrypt, PURPOSE, binding(context));
  if (publicHalf(poolPrivateKey(raw)).x === expected.x) return raw;
  raw.fill(0);
  throw new ManifestError('key-wrap-mismatch', 'a wrapped pool key is not the one that fleet names');
}

/** One KeyObject of the raw bytes, which the caller zeroes. */
export function poolPrivateKey(raw: Uint8Array): KeyObject {
  const der = Buffer.concat([PKCS8_PREFIX, raw]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

export function publicHalf(key: KeyObject): RecipientKey {
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  return { kty: 'OKP', crv: 'X25519', x };
}
