// The public half of an identity as one line that people send each other:
//
//   lapse1 | base64url( ed25519 (32) | X25519 (32) | checksum (4) )
//
// The checksum is the beginning of sha256("lapse1" | the 64 bytes). It finds slips of the hand, not forgeries: whoever
// receives a line must know from whom it came.
import { createHash } from 'node:crypto';
import { ClientError } from '../errors.ts';
import { publicKeys } from './identity.ts';
import type { PublicKeys } from './identity.ts';

const PREFIX = 'lapse1';
const KEY_BYTES = 64;
const CHECKSUM_BYTES = 4;
const LINE = new RegExp(`^${PREFIX}[A-Za-z0-9_-]{91}$`);

export function formatPublicLine({ signing, decryption }: PublicKeys): string {
  const keys = Buffer.concat([Buffer.from(signing, 'hex'), Buffer.from(decryption.x, 'base64url')]);
  return `${PREFIX}${Buffer.concat([keys, checksum(keys)]).toString('base64url')}`;
}

/** Whether a text is meant as a public line, whole or not: no name is as long. */
export function isPublicLine(text: string): boolean {
  return text.startsWith(PREFIX) && text.length > 63;
}

/** White space around it is forgiven. @throws ClientError public-line-invalid */
export function parsePublicLine(text: string): PublicKeys {
  const line = text.trim();
  if (!LINE.test(line)) throw invalid(`a public line is ${PREFIX} and 91 characters of base64url`);
  const encoded = line.slice(PREFIX.length);
  const bytes = Buffer.from(encoded, 'base64url');
  const keys = bytes.subarray(0, KEY_BYTES);
  if (!bytes.subarray(KEY_BYTES).equals(checksum(keys)) || bytes.toString('base64url') !== encoded) {
    throw invalid('the checksum of this public line is wrong; copy it again, whole');
  }
  return publicKeys(keys.toString('hex', 0, 32), keys.toString('base64url', 32));
}

function checksum(keys: Uint8Array): Buffer {
  return createHash('sha256').update(PREFIX).update(keys).digest().subarray(0, CHECKSUM_BYTES);
}

function invalid(why: string): ClientError {
  return new ClientError('public-line-invalid', why);
}
