// The two keys that the service signs with by itself, snapshot and timestamp: ed25519, made on the first start, one
// PKCS#8 file each that only its owner can read. Whoever steals them can withhold news, and can neither read a
// secret nor forge one. The bytes pass through one Buffer, zeroed after use, and never become a string.
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { ed25519KeyJson, keyId } from '../manifest/tuf/keys.ts';
import type { Signer } from '../manifest/tuf/metadata.ts';
import { ServiceError } from './errors.ts';

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
  if (!existsSync(path)) makeKey(path);
  const key = readKey(path);
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  const publicHex = Buffer.from(x, 'base64url').toString('hex');
  return {
    publicHex,
    keyid: keyId(ed25519KeyJson(publicHex)),
    sign: (bytes) => sign(null, bytes, key),
  };
}

function readKey(path: string): KeyObject {
  const file = openSync(path, 'r');
  let der: Buffer | undefined;
  try {
    if ((fstatSync(file).mode & 0o077) !== 0) {
      throw new ServiceError('config-invalid', `${path} is open to others; a key file has mode 0600`);
    }
    der = readFileSync(file);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('another type of key');
    return key;
  } catch (error) {
    if (error instanceof ServiceError) throw error;
    throw new ServiceError('config-invalid', `${path} holds no ed25519 key`, { cause: error });
  } finally {
    der?.fill(0);
    closeSync(file);
  }
}

/** Written beside, synced and renamed, so that a crash leaves no half key behind. */
function makeKey(path: string): void {
  const der = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' });
  const file = openSync(`${path}.new`, 'w', 0o600);
  try {
    writeSync(file, der);
    fsyncSync(file);
  } finally {
    der.fill(0);
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
  const directory = openSync(dirname(path), 'r');
  fsyncSync(directory);
  closeSync(directory);
}
