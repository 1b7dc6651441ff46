// The vector file against other implementations than the ones in use: scrypt of node:crypto, XChaCha20-Poly1305 of
// libsodium, and hashes by hand.
import { createHash, scryptSync } from 'node:crypto';
import sodium from 'sodium-native';
import { expect, test } from 'vitest';
import { parseIdentityFile } from '../../../../client/identity/identity-file.ts';
import { holdIdentity } from '../../../../client/identity/identity.ts';
import { formatPublicLine, parsePublicLine } from '../../../../client/identity/public-line.ts';
import { canonicalJson } from '../../../../manifest/canonical-json.ts';
import type { JsonObject } from '../../../../manifest/json.ts';
import { vectors } from '../../manifest/vectors.ts';

interface Vector {
  readonly name: string;
  readonly passphrase: string;
  readonly secret: string;
  readonly file: string;
  readonly keyid: string;
  readonly kid: string;
  readonly line: string;
}

const { identities } = vectors('identity') as { identities: readonly Vector[] };
const each = identities.map((vector) => [vector.name, vector] as const);

test.for(each)('%s: opens', async ([, { passphrase, secret, file, keyid, kid, line }]) => {
  const parsed = parseIdentityFile(Buffer.from(file), 'vector');
  expect(Buffer.from(await parsed.open(Buffer.from(passphrase))).toString('hex')).toBe(secret);
  expect(parsed.keys).toMatchObject({ keyid, kid });
  expect(holdIdentity('me', Buffer.from(secret, 'hex')).public).toEqual({ name: 'me', ...parsed.keys });
  expect(formatPublicLine(parsed.keys)).toBe(line);
  expect(parsePublicLine(line)).toEqual(parsed.keys);
});

test.for(each)('%s: opens with libsodium', ([, { passphrase, secret, file, line }]) => {
  const { sealed, ...clear } = JSON.parse(file) as JsonObject & {
    sealed: string;
    signing: string;
    decryption: { x: string };
    kdf: { name: string; N: number; r: number; p: number; salt: string };
  };
  const { name, N, r, p, salt } = clear.kdf;
  const key =
    name === 'none'
      ? Buffer.alloc(32)
      : scryptSync(passphrase, Buffer.from(salt, 'base64url'), 32, { N, r, p, maxmem: 1 << 28 });
  const bytes = Buffer.from(sealed, 'base64url');
  const plain = Buffer.alloc(64);
  sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
    plain,
    null,
    bytes.subarray(24),
    Buffer.from(canonicalJson(clear)),
    bytes.subarray(0, 24),
    key,
  );
  expect(plain.toString('hex')).toBe(secret);
  const keys = Buffer.concat([
    Buffer.from(clear.signing, 'hex'),
    Buffer.from(clear.decryption.x, 'base64url'),
  ]);
  const checksum = createHash('sha256').update('lapse1').update(keys).digest().subarray(0, 4);
  expect(line).toBe(`lapse1${Buffer.concat([keys, checksum]).toString('base64url')}`);
});
