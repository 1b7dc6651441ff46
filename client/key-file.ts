// Private keys in files of mode 0600: PKCS#8 DER, as `openssl pkey -inform DER` reads it. A key goes from the file
// into one KeyObject; the bytes between are a Buffer that is zeroed, never a string.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
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
