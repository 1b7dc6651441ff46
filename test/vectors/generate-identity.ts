// Writes identity.json: identity files with fixed keys, salts and nonces, and the public lines of their keys.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseIdentityFile, sealIdentity } from '../../client/identity/identity-file.ts';
import type { Sealing } from '../../client/identity/identity-file.ts';
import { formatPublicLine } from '../../client/identity/public-line.ts';

/** Bytes that look random and are always the same. */
function fixed(label: string, length: number): Buffer {
  return Buffer.concat(['a', 'b'].map((half) => createHash('sha256').update(`${label} ${half}`).digest())).subarray(
    0,
    length,
  );
}

async function vector(name: string, passphrase: string, stretching: Sealing['stretching']) {
  const secret = fixed(`${name} secret`, 64);
  const nonce = fixed(`${name} nonce`, 24);
  const sealed = await sealIdentity({ secret, stretching, passphrase: Buffer.from(passphrase), nonce });
  const { keys } = parseIdentityFile(sealed, name);
  return {
    name,
    passphrase,
    secret: secret.toString('hex'),
    file: Buffer.from(sealed).toString(),
    keyid: keys.keyid,
    kid: keys.kid,
    line: formatPublicLine(keys),
  };
}

const scrypt = { name: 'scrypt', r: 8, p: 1 } as const;
const about =
  'Identity files (UTF-8 text), the passphrase that opens them, what is sealed in them (ed25519 seed, X25519 scalar), ' +
  'the ids of their keys, and the line that people send each other.';
const identities = [
  await vector('scrypt', 'correct horse battery staple', { ...scrypt, N: 1024, salt: fixed('salt', 16) }),
  await vector('scrypt with other parameters', 'pässwörd €', {
    ...scrypt,
    N: 2048,
    r: 4,
    p: 2,
    salt: fixed('another salt', 32),
  }),
  await vector('no passphrase', '', { name: 'none' }),
];
writeFileSync(join(import.meta.dirname, 'identity.json'), `${JSON.stringify({ about, identities }, null, 2)}\n`);
