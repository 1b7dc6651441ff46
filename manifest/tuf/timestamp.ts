// The timestamp role (TUF 1.0.34 §4.6): the newest snapshot, and Lapse's signed `lease`, the seconds for which a
// host may serve without news.
import { ManifestError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { integer, object } from '../shape.ts';
import { parseFileMeta, parseHeader, parseMetadata } from './metadata.ts';
import type { FileMeta, Header, Unverified } from './metadata.ts';

export interface Timestamp extends Header {
  readonly snapshot: FileMeta & { readonly version: number };
  /** Seconds; absent in repositories that are no realm. */
  readonly lease?: number;
}

export function parseTimestamp(bytes: Uint8Array): { file: Unverified; role: Timestamp } {
  const file = parseMetadata(bytes, 'timestamp', LIMITS.timestampBytes);
  const meta = object(file.raw['meta'], 'timestamp.meta');
  const snapshot = object(meta['snapshot.json'], 'timestamp.meta.snapshot.json');
  if (Object.keys(meta).length !== 1) {
    throw new ManifestError('metadata-malformed', 'timestamp.meta: only snapshot.json may stand there');
  }
  const lease = file.raw['lease'];
  return {
    file,
    role: {
      ...parseHeader(file.raw, 'timestamp'),
      snapshot: {
        ...parseFileMeta(snapshot, 'timestamp.meta.snapshot.json'),
        version: integer(snapshot['version'], 'timestamp.meta.snapshot.json.version', 1),
      },
      ...(lease === undefined ? {} : { lease: integer(lease, 'timestamp.lease', 1, LIMITS.leaseSeconds) }),
    },
  };
}
