// A host's two private keys, made when it joins and never after: one to sign tokens and receipts, one to which its keyring
// is encrypted. Files of mode 0600 in the state directory. A run that was interrupted leaves a whole key or none, and the
// next one goes on with what is there.
import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { access, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { alone } from '../../client/file-lock.ts';
import { createKeyFile, readKeyFile } from '../../client/key-file.ts';
import type { KeyType } from '../../client/key-file.ts';
import { publicHalf } from '../../manifest/realm/pool-key.ts';
import { thumbprint } from '../../manifest/realm/recipient.ts';
import type { RecipientKey, SigningKey } from '../../manifest/realm/recipient.ts';
import { DaemonError } from '../errors.ts';

const FILES = { signing: ['host.ed25519', 'ed25519'], encryption: ['host.x25519', 'x25519'] } as const;

/** Two runs at once end with the same keys. */
const LOCK = 'keys.lock';
const PATIENCE_MS = 10_000;

export interface HostKeyPair {
  readonly signingKey: KeyObject;
  readonly signing: SigningKey;
  /** Thumbprint of `signing`. */
  readonly kid: string;
  readonly encryptionKey: KeyObject;
  readonly encryption: RecipientKey;
}

/** @throws ClientError key-unreadable */
export async function readHostKeys(state: string): Promise<HostKeyPair> {
  const [signingKey, encryptionKey] = await Promise.all(
    [FILES.signing, FILES.encryption].map(([name, type]) => readKeyFile(join(state, name), type)),
  );
  if (!signingKey || !encryptionKey) throw new RangeError('two files make two keys');
  const { x = '' } = createPublicKey(signingKey).export({ format: 'jwk' });
  const signing: SigningKey = { kty: 'OKP', crv: 'Ed25519', x };
  return {
    signingKey,
    signing,
    kid: thumbprint(signing),
    encryptionKey,
    encryption: publicHalf(encryptionKey),
  };
}

/** Makes what is missing, and reads both. @throws DaemonError host-unwritable; ClientError key-unreadable */
export async function ensureHostKeys(state: string): Promise<HostKeyPair> {
  try {
    await mkdir(state, { recursive: true, mode: 0o700 });
    await alone(join(state, LOCK), PATIENCE_MS, async () => {
      for (const [name, type] of Object.values(FILES)) await ensure(state, name, type);
    });
  } catch (cause) {
    throw new DaemonError('host-unwritable', `cannot make this host's keys in ${state}`, { cause });
  }
  return readHostKeys(state);
}

/** The name appears with the whole key. */
async function ensure(state: string, name: string, type: KeyType): Promise<void> {
  const path = join(state, name);
  if (await exists(path)) return;
  await rm(`${path}.new`, { force: true });
  await createKeyFile(`${path}.new`, type);
  await rename(`${path}.new`, path);
  await using directory = await open(state);
  await directory.sync();
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
