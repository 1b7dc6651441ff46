// Files that only the service's user can read, made once: its keys. Written beside, synced and renamed, so that a crash
// leaves no half file behind; refused when others could have read it. Keys pass through one Buffer that is zeroed
// after use, and never become a string.
import { createPrivateKey } from 'node:crypto';
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
import { dirname } from 'node:path';
import { ServiceError } from './errors.ts';

/** The key in a PKCS#8 DER file, which is made when it is not there. @throws ServiceError config-invalid */
export function openKeyFile(path: string, type: 'ed25519' | 'ec', make: () => KeyObject): KeyObject {
  if (!existsSync(path)) {
    const der = make().export({ format: 'der', type: 'pkcs8' });
    try {
      writePrivateFile(path, der);
    } finally {
      der.fill(0);
    }
  }
  const der = readPrivateFile(path);
  try {
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    if (key.asymmetricKeyType === type) return key;
  } catch {
    // The cause may quote key bytes, so it is dropped.
  } finally {
    der.fill(0);
  }
  throw new ServiceError('config-invalid', `${path} holds no ${type} key`);
}

/** @throws ServiceError config-invalid */
export function readPrivateFile(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    if ((fstatSync(file).mode & 0o077) === 0) return readFileSync(file);
  } finally {
    closeSync(file);
  }
  throw new ServiceError('config-invalid', `${path} is open to others; it must have mode 0600`);
}

/** @throws ServiceError config-invalid */
export function writePrivateFile(path: string, bytes: Uint8Array): void {
  try {
    replaceFile(path, bytes);
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new ServiceError('config-invalid', `${path} cannot be written (${why})`, { cause: error });
  }
}

/** Durable when it returns; what had that name before is gone. @throws ServiceError config-invalid */
export function renamePrivateFile(from: string, to: string): void {
  try {
    rename(from, to);
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new ServiceError('config-invalid', `${to} cannot be replaced (${why})`, { cause: error });
  }
}

function replaceFile(path: string, bytes: Uint8Array): void {
  const file = openSync(`${path}.new`, 'w', 0o600);
  try {
    writeSync(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  rename(`${path}.new`, path);
}

function rename(from: string, to: string): void {
  renameSync(from, to);
  const directory = openSync(dirname(to), 'r');
  fsyncSync(directory);
  closeSync(directory);
}
