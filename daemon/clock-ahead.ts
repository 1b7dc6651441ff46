// Whether this host's wall clock is what is wrong when metadata has expired: the service's signed answer to a nonce says which
// timestamp is the newest right now, and by this host's clock that one has expired. Such a host trusts nothing new, so its
// leases run out; the clock has to be set.
import { randomBytes } from 'node:crypto';
import type { Clock } from '../client/clock.ts';
import type { Transport } from '../client/transport.ts';
import { isLapseError } from '../manifest/errors.ts';
import { LIMITS } from '../manifest/limits.ts';
import { NONCE_BYTES, checkEcho } from '../manifest/realm/echo.ts';
import { sha256 } from '../manifest/tuf/metadata.ts';
import { parseTimestamp } from '../manifest/tuf/timestamp.ts';
import type { TrustedSet } from '../manifest/tuf/trusted-set.ts';
import { DaemonError } from './errors.ts';

/** In place of `metadata-expired`, if that is why; else the failure itself. */
export async function clockAhead(
  failure: unknown,
  set: TrustedSet,
  transport: Pick<Transport, 'echo' | 'metadata'>,
  clock: Clock,
): Promise<unknown> {
  if (!isLapseError(failure) || failure.code !== 'metadata-expired') return failure;
  try {
    const nonce = randomBytes(NONCE_BYTES).toString('hex');
    const echo = checkEcho(set, await transport.echo(nonce), nonce);
    const bytes = await transport.metadata('timestamp.json', LIMITS.timestampBytes);
    const { expires } = parseTimestamp(bytes).role;
    const late = clock.now() - expires;
    if (sha256(bytes) !== echo.sha256 || late < 0) return failure;
    const minutes = Math.ceil(late / 60_000);
    const message = `this host's clock is ahead: the newest timestamp expired ${minutes} min ago by it; set the clock`;
    return new DaemonError('clock-ahead', message, { cause: failure });
  } catch (error) {
    if (!isLapseError(error)) throw error;
    return failure;
  }
}
