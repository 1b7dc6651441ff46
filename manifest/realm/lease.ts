// The lease: how long verified metadata stays good without news. It is signed into the timestamp, in seconds.
import { ManifestError } from '../errors.ts';
import type { Verified } from '../tuf/metadata.ts';
import type { Timestamp } from '../tuf/timestamp.ts';

/** A fresh timestamp stays acceptable by the wall clock for at least this long, so that a short lease tolerates skew. */
const LEAST_LIFETIME_MS = 5 * 60_000;

/** Milliseconds from the sending of a request for news to the end of the lease that the answer grants. */
export function leaseMs(timestamp: Verified<Timestamp>): number {
  if (timestamp.role.lease === undefined) {
    throw new ManifestError('lease-malformed', 'the timestamp of a realm carries a lease');
  }
  return timestamp.role.lease * 1000;
}

/** Milliseconds from signing to a timestamp's `expires`. */
export function timestampLifetimeMs(leaseSeconds: number): number {
  return Math.max(leaseSeconds * 1000, LEAST_LIFETIME_MS);
}
