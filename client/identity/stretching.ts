// From a passphrase to the key that seals an identity file: scrypt (RFC 7914), with its parameters in the file. They
// are bounded before anything is computed, so that a hostile file can eat neither memory nor time. `none` stands for
// no protection, which its maker asked for in so many words: its key is 32 zero bytes, known to everybody.
import { randomBytes, scrypt } from 'node:crypto';
import type { JsonObject } from '../../manifest/json.ts';
import { integer, object, string } from '../../manifest/shape.ts';
import { ManifestError } from '../../manifest/errors.ts';

export interface Scrypt {
  readonly name: 'scrypt';
  /** A power of two; the memory is 128 × N × r bytes. */
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Uint8Array;
}

export type Stretching = Scrypt | { readonly name: 'none' };

/** What is accepted: at most 1 GiB, and about eight times the default's work for each of `p`. */
export const SCRYPT_LIMITS = {
  leastN: 1 << 10,
  mostN: 1 << 20,
  r: 8,
  p: 4,
  leastSalt: 16,
  mostSalt: 64,
} as const;

const KEY_BYTES = 32;

/** 128 MiB and about half a second, with a fresh salt. */
export function defaultScrypt(): Scrypt {
  return { name: 'scrypt', N: 1 << 17, r: 8, p: 1, salt: randomBytes(SCRYPT_LIMITS.leastSalt) };
}

export function stretchingJson(stretching: Stretching): JsonObject {
  if (stretching.name === 'none') return { name: 'none' };
  const { name, N, r, p, salt } = stretching;
  return { name, N, r, p, salt: Buffer.from(salt).toString('base64url') };
}

/** @throws ManifestError metadata-malformed: an unknown name, or parameters outside SCRYPT_LIMITS */
export function readStretching(value: JsonObject): Stretching {
  const raw = object(value, 'kdf');
  const name = string(raw['name'], 'kdf.name');
  if (name === 'none') return { name };
  if (name !== 'scrypt') throw new ManifestError('metadata-malformed', 'kdf.name: scrypt or none expected');
  const { leastN, mostN, r, p, leastSalt, mostSalt } = SCRYPT_LIMITS;
  const N = integer(raw['N'], 'kdf.N', leastN, mostN);
  const salt = Buffer.from(string(raw['salt'], 'kdf.salt'), 'base64url');
  if ((N & (N - 1)) !== 0 || salt.length < leastSalt || salt.length > mostSalt) {
    throw new ManifestError('metadata-malformed', 'kdf: N is a power of two, and salt 16 to 64 bytes');
  }
  return { name, N, r: integer(raw['r'], 'kdf.r', 1, r), p: integer(raw['p'], 'kdf.p', 1, p), salt };
}

/** 32 bytes, which the caller zeroes. `passphrase` is not looked at when there is no protection. */
export function stretch(stretching: Stretching, passphrase: Uint8Array): Promise<Buffer> {
  if (stretching.name === 'none') return Promise.resolve(Buffer.alloc(KEY_BYTES));
  const { N, r, p, salt } = stretching;
  const maxmem = 128 * r * (N + p + 2) + (1 << 20);
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, KEY_BYTES, { N, r, p, maxmem }, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
}
