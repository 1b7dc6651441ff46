// The keys of the store are the names under which clients ask for files: TUF's consistent names. `timestamp.json`
// alone is ever overwritten; since every commit writes it, its revision is the realm's.
import { FLEET_HOSTS } from '../manifest/realm/realm.ts';

export const TIMESTAMP_KEY = 'timestamp.json';
export const FIRST_ROOT_KEY = '1.root.json';

export function roleKey(name: string, version: number): string {
  return `${version}.${name}.json`;
}

/** `payments/SHA256.db-password@3`, `fleet-hosts/SHA256.web-1` */
export function fileKey({ path, sha256 }: { readonly path: string; readonly sha256: string }): string {
  const slash = path.indexOf('/') + 1;
  return `${path.slice(0, slash)}${sha256}.${path.slice(slash)}`;
}

/** Whether everybody may be told of a file: an envelope is for all hosts, a keyring for one. */
export function isEnvelopeKey(key: string): boolean {
  return key.includes('/') && !isKeyringKey(key);
}

export function isKeyringKey(key: string): boolean {
  return key.startsWith(`${FLEET_HOSTS}/`);
}
