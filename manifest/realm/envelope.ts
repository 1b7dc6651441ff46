// The envelope: one version's ciphertext, a TUF target. XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) in
// libsodium's combined layout behind its nonce:
//
//   nonce (24) | encrypted( length (4, big endian) | value | zeros ) | tag (16)
//
// The associated data ties it to one version of one secret of one realm, so it cannot be moved. This file seals;
// it opens nothing: the daemon does that with libsodium inside locked memory, by the offsets given here.
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { canonicalJson } from '../canonical-json.ts';
import { ManifestError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Namespace, RealmId, SecretName } from '../names.ts';
import { paddedLength } from './padding.ts';

export const ENVELOPE = { nonceBytes: 24, tagBytes: 16, prefixBytes: 4, keyBytes: 32 } as const;

const OVERHEAD = ENVELOPE.nonceBytes + ENVELOPE.tagBytes;
const SMALLEST = OVERHEAD + paddedLength(0);
const LARGEST = OVERHEAD + paddedLength(ENVELOPE.prefixBytes + LIMITS.valueBytes);

/** What one version is: the context that its ciphertext and its wrapped keys are bound to. */
export interface VersionContext {
  readonly realm: RealmId;
  readonly namespace: Namespace;
  readonly name: SecretName;
  readonly version: number;
}

export function associatedData(context: VersionContext): Uint8Array {
  const { realm, namespace, name, version } = context;
  return canonicalJson({ purpose: 'lapse-envelope', realm, namespace, name, version });
}

/**
 * Seals a value with a fresh data key and a fresh nonce; the caller zeroes `value` and `key`.
 * @throws ManifestError value-too-large
 */
export function sealEnvelope(
  value: Uint8Array,
  key: Uint8Array,
  nonce: Uint8Array,
  context: VersionContext,
): Uint8Array {
  if (value.length > LIMITS.valueBytes) {
    throw new ManifestError(
      'value-too-large',
      `a value has at most ${LIMITS.valueBytes} bytes, not ${value.length}`,
    );
  }
  const padded = new Uint8Array(paddedLength(ENVELOPE.prefixBytes + value.length));
  new DataView(padded.buffer).setUint32(0, value.length);
  padded.set(value, ENVELOPE.prefixBytes);
  const envelope = new Uint8Array(OVERHEAD + padded.length);
  envelope.set(nonce);
  envelope.set(xchacha20poly1305(key, nonce, associatedData(context)).encrypt(padded), ENVELOPE.nonceBytes);
  padded.fill(0);
  return envelope;
}

/** The size in bytes of what an envelope of that size decrypts to: prefix, value and zeros. */
export function paddedBytes(envelopeBytes: number): number {
  if (envelopeBytes < SMALLEST || envelopeBytes > LARGEST) {
    throw new ManifestError('envelope-malformed', `an envelope has ${SMALLEST} to ${LARGEST} bytes`);
  }
  return envelopeBytes - OVERHEAD;
}

/**
 * Where the value lies within what was decrypted: [start, end).
 * @throws ManifestError envelope-malformed, if the length or the zeros are not as `sealEnvelope` writes them
 */
export function valueRange(padded: Uint8Array): readonly [start: number, end: number] {
  paddedBytes(OVERHEAD + padded.length);
  const length = new DataView(padded.buffer, padded.byteOffset, padded.byteLength).getUint32(0);
  const end = ENVELOPE.prefixBytes + length;
  if (length > LIMITS.valueBytes || paddedLength(end) !== padded.length) {
    throw new ManifestError('envelope-malformed', 'the length inside does not fit the padding');
  }
  for (let i = end; i < padded.length; i++) {
    if (padded[i] !== 0) throw new ManifestError('envelope-malformed', 'the padding is not zero');
  }
  return [ENVELOPE.prefixBytes, end];
}
