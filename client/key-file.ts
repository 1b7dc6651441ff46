// Private keys in files of mode 0600: PKCS#8 DER, as `openssl pkey -inform DER` reads it. A key goes from the file
// into one KeyObject; the bytes between are a Buffer that is zeroed, never a string.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { thumbprint } from '../manifest/realm/recipient.ts';
import type { RecipientKey } from '../manifest/realm/recipient.ts';
import { ed25519KeyJson, keyId } from '../manifest/tuf/keys.ts';
import type { Signer } from '../manifest/tuf/metadata.ts';
import { ClientError } from './errors.ts';

export type KeyType = 'ed25519' | 'x25519';

/** Makes a key pair, writes the private half to a new file, and returns the public one. */
export async function createKeyFile(path: string, type: KeyType): Promise<KeyObject> {
  const { privateKey, publicKey } =
    type === 'ed25519' ? generateKeyPairSync(type) : generateKeyPairSync(type);
  const der = privateKey.export({ format: 'der', type: 'pkcs8' });
  try {
    await using file = await open(path, 'wx', 0o600);
    await file.writeFile(der);
    await file.sync();
  } finally {
    der.fill(0);
  }
  return publicKey;
}

/** @throws ClientError key-unreadable: absent, no such key, or readable by others */
export async function readKeyFile(path: string, type: KeyType): Promise<KeyObject> {
  let der: Buffer | undefined;
  try {
    if (((await stat(path)).mode & 0o077) !== 0) {
      throw new ClientError('key-unreadable', `others can read ${path}; run: chmod 600 ${path}`);
    }
    der = await readFile(path);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    if (key.asymmetricKeyType === type) return key;
  } catch (cause) {
    if (cause instanceof ClientError) throw cause;
    // The cause may quote key bytes, so it is dropped, but for the system's error code.
    const code = (cause as NodeJS.ErrnoException).code ?? 'not a key';
    throw new ClientError('key-unreadable', `cannot read the ${type} key ${path}: ${code}`);
  } finally {
    der?.fill(0);
  }
  throw new ClientError('key-unreadable', `${path} holds no ${type} key`);
}

/** The raw public ed25519 key, in hexadecimal, of either half. */
export function publicHex(key: KeyObject): string {
  return Buffer.from(publicJwk(key).x, 'base64url').toString('hex');
}

export function fileSigner(key: KeyObject): Signer {
  return { keyid: keyId(ed25519KeyJson(publicHex(key))), sign: (bytes) => sign(null, bytes, key) };
}

/** A public X25519 key and its thumbprint. */
export function recipientKey(key: KeyObject): { kid: string; key: RecipientKey } {
  const recipient: RecipientKey = { kty: 'OKP', crv: 'X25519', x: publicJwk(key).x };
  return { kid: thumbprint(recipient), key: recipient };
}

function publicJwk(key: KeyObject): { x: string } {
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  if (jwk.x === undefined) throw new ClientError('key-unreadable', 'not a key on a Curve25519');
  return { x: jwk.x };
}
