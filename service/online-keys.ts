// The two keys that the service signs with by itself, snapshot and timestamp: ed25519, made on the first start, one
// PKCS#8 file each that only its owner can read. Whoever steals them can withhold news, and can neither read a
// secret nor forge one.
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { join } from 'node:path';
import { ed25519KeyJson, keyId } from '../manifest/tuf/keys.ts';
import type { Signer } from '../manifest/tuf/metadata.ts';
import { openKeyFile } from './private-file.ts';

export interface OnlineKey extends Signer {
  /** The raw public half, in hexadecimal. */
  readonly publicHex: string;
}

export interface OnlineKeys {
  readonly snapshot: OnlineKey;
  readonly timestamp: OnlineKey;
}

/** @throws ServiceError config-invalid */
export function openOnlineKeys(directory: string): OnlineKeys {
  return {
    snapshot: openKey(join(directory, 'snapshot.ed25519')),
    timestamp: openKey(join(directory, 'timestamp.ed25519')),
  };
}

function openKey(path: string): OnlineKey {
  const key = openKeyFile(path, 'ed25519', () => generateKeyPairSync('ed25519').privateKey);
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  const publicHex = Buffer.from(x, 'base64url').toString('hex');
  return {
    publicHex,
    keyid: keyId(ed25519KeyJson(publicHex)),
    sign: (bytes) => sign(null, bytes, key),
  };
}
