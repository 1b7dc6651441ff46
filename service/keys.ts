// The keys of the store are the names under which clients ask for files: TUF's consistent names. `timestamp.json`
// alone is ever overwritten; since every commit writes it, its revision is the realm's.
import type { LiveVersion } from '../manifest/realm/secret.ts';

export const TIMESTAMP_KEY = 'timestamp.json';
export const FIRST_ROOT_KEY = '1.root.json';

export function roleKey(name: string, version: number): string {
  return `${version}.${name}.json`;
}

/** `payments/SHA256.db-password@3` */
export function envelopeKey({ path, sha256 }: Pick<LiveVersion, 'path' | 'sha256'>): string {
  const slash = path.indexOf('/') + 1;
  return `${path.slice(0, slash)}${sha256}.${path.slice(slash)}`;
}

export function isEnvelopeKey(key: string): boolean {
  return key.includes('/');
}
