// The two keys that the service signs with by itself, snapshot and timestamp: ed25519, made on the first start, one
// PKCS#8 file each that only its owner can read. Whoever steals them can withhold news, and can neither read a
// secret nor forge one. New ones wait beside the old until a root names them: which of them signs is root's word alone, so
// the commit of that root is the moment of the switch, and the files follow it, also after a crash in between.
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { OnlineKeys as PublicHalves } from '../manifest/realm/exchange.ts';
import { ed25519KeyJson, keyId } from '../manifest/tuf/keys.ts';
import type { Signer } from '../manifest/tuf/metadata.ts';
import type { Root } from '../manifest/tuf/root.ts';
import { ServiceError } from './errors.ts';
import { openKeyFile, renamePrivateFile } from './private-file.ts';

const ROLES = ['snapshot', 'timestamp'] as const;
type OnlineRole = (typeof ROLES)[number];

export interface OnlineKey extends Signer {
  /** The raw public half, in hexadecimal. */
  readonly publicHex: string;
}

export type OnlineKeys = Readonly<Record<OnlineRole, OnlineKey>>;

export class OnlineKeyRing {
  readonly #directory: string;
  #current: OnlineKeys;

  private constructor(directory: string, current: OnlineKeys) {
    this.#directory = directory;
    this.#current = current;
  }

  /** Makes the first pair, if there is none. @throws ServiceError config-invalid */
  static open(directory: string): OnlineKeyRing {
    return new OnlineKeyRing(
      directory,
      openPair((role) => currentFile(directory, role)),
    );
  }

  /** What signs under this root. @throws ServiceError online-keys-mismatch: it names keys that are not here */
  of(root: Root): OnlineKeys {
    const pick = (role: OnlineRole): OnlineKey => {
      const current = this.#current[role];
      if (isNamed(root, role, current)) return current;
      const next = this.#waiting(role);
      if (next && isNamed(root, role, next)) return next;
      throw new ServiceError('online-keys-mismatch', `root names another ${role} key than this service has`);
    };
    const { snapshot, timestamp } = this.#current;
    const isUsual = isNamed(root, 'snapshot', snapshot) && isNamed(root, 'timestamp', timestamp);
    return isUsual ? this.#current : { snapshot: pick('snapshot'), timestamp: pick('timestamp') };
  }

  /** Once this root is stored: the keys that it names take the place of those that it does not. */
  settle(root: Root): void {
    const keys = this.of(root);
    for (const role of ROLES) {
      if (keys[role] === this.#current[role]) continue;
      renamePrivateFile(nextFile(this.#directory, role), currentFile(this.#directory, role));
    }
    this.#current = keys;
  }

  /** For whoever signs a root. */
  publicHalves(): PublicHalves {
    const [snapshot, timestamp] = [this.#waiting('snapshot'), this.#waiting('timestamp')];
    return {
      ...publicHalves(this.#current),
      ...(snapshot && timestamp ? { next: publicHalves({ snapshot, timestamp }) } : {}),
    };
  }

  #waiting(role: OnlineRole): OnlineKey | undefined {
    const path = nextFile(this.#directory, role);
    return existsSync(path) ? openKey(path) : undefined;
  }
}

/**
 * Makes the pair that shall follow the one in use; one that waits already is never replaced, for a root may name it.
 * @throws ServiceError config-invalid
 */
export function makeNextKeys(directory: string): PublicHalves {
  const isThere = ROLES.every((role) => existsSync(currentFile(directory, role)));
  if (isThere) return publicHalves(openPair((role) => nextFile(directory, role)));
  throw new ServiceError(
    'config-invalid',
    `${directory} has no online keys; the service makes them when it starts`,
  );
}

function isNamed({ roles }: Root, role: OnlineRole, { keyid }: OnlineKey): boolean {
  return roles[role].keys.has(keyid);
}

function publicHalves({ snapshot, timestamp }: OnlineKeys): PublicHalves {
  return { snapshot: snapshot.publicHex, timestamp: timestamp.publicHex };
}

function currentFile(directory: string, role: OnlineRole): string {
  return join(directory, `${role}.ed25519`);
}

function nextFile(directory: string, role: OnlineRole): string {
  return join(directory, `next-${role}.ed25519`);
}

function openPair(path: (role: OnlineRole) => string): OnlineKeys {
  return { snapshot: openKey(path('snapshot')), timestamp: openKey(path('timestamp')) };
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
