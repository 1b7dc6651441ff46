// The files that come with a publish: envelopes of namespaces, keyrings of hosts. Each is there already or arrives with the
// role that lists it, and one that nobody lists is refused: the service stores only what somebody signed for. Pure: the
// outcome is what to store and what to drop.
import { checkFile, sha256 } from '../manifest/tuf/metadata.ts';
import { ServiceError } from './errors.ts';
import { fileKey } from './keys.ts';
import type { Entry } from './store/store.ts';

/** A file as its role lists it. */
export interface Listed {
  readonly path: string;
  readonly length: number;
  readonly sha256: string;
}

/** What one role listed before, and lists now. */
export interface Listing {
  readonly before: readonly Listed[];
  readonly after: readonly Listed[];
}

export interface StoredFiles {
  readonly put: readonly Entry[];
  /** Keys of files that nobody lists any more. */
  readonly remove: readonly string[];
}

export const NO_FILES: StoredFiles = { put: [], remove: [] };

/** Those that a role lists now and did not list before. */
export function newlyListed<File extends Listed>(before: readonly Listed[], after: readonly File[]): File[] {
  const known = new Set(before.map(fileKey));
  return after.filter((file) => !known.has(fileKey(file)));
}

/** @throws ServiceError file-missing, file-unlisted; ManifestError length-mismatch */
export function takeFiles(listings: readonly Listing[], files: readonly Uint8Array[]): StoredFiles {
  const bySha256 = new Map(files.map((file) => [sha256(file), file]));
  const fresh = listings.flatMap(({ before, after }) => newlyListed(before, after));
  const put = fresh.map((listed) => {
    const value = bySha256.get(listed.sha256);
    if (!value) {
      throw new ServiceError('file-missing', `${listed.path}: no file came with the sha256 that it lists`);
    }
    checkFile(value, listed, listed.path);
    return { key: fileKey(listed), value };
  });
  const wanted = new Set(fresh.map((listed) => listed.sha256));
  if ([...bySha256.keys()].some((hash) => !wanted.has(hash))) {
    throw new ServiceError('file-unlisted', 'a file came that no role newly lists');
  }
  return { put, remove: listings.flatMap(({ before, after }) => newlyListed(after, before).map(fileKey)) };
}
