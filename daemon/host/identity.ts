// Who this host is, for the service and in its receipts: a token for each request that needs one, made anew each time. When
// the service says that a token came too late or too early, this host's wall clock is off, or the service has just
// started: from then on the service's own time is reckoned by the boot-time clock, which nobody sets.
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../client/clock.ts';
import type { Authorizer } from '../../client/transport.ts';
import { signHostToken } from '../../manifest/realm/host-token.ts';
import { DaemonError } from '../errors.ts';
import { readAnchor, readHostFile } from './host-file.ts';
import type { HostFile } from './host-file.ts';
import { readHostKeys } from './host-keys.ts';
import type { HostKeyPair } from './host-keys.ts';

const JTI_BYTES = 16;
/** The service tells its time in whole seconds, and takes no token from before it started. */
const ROUNDED_MS = 1000;

export interface HostIdentity extends HostFile, HostKeyPair {
  /** Root 1. */
  readonly anchor: Uint8Array;
}

/** @throws DaemonError host-not-joined, host-unreadable; ClientError key-unreadable */
export async function readIdentity(state: string): Promise<HostIdentity> {
  const host = await readHostFile(state);
  if (!host) {
    throw new DaemonError(
      'host-not-joined',
      `this machine has joined no realm (nothing in ${state}): run lapsed join with an invitation of lapse host invite`,
    );
  }
  return { ...host, ...(await readHostKeys(state)), anchor: await readAnchor(state) };
}

/** What signs in a host's name. */
export type HostSigner = Pick<HostIdentity, 'name' | 'realm' | 'kid' | 'signingKey'>;

export class HostAuthorizer implements Authorizer {
  readonly #identity: HostSigner;
  readonly #clock: Clock;
  /** The service's wall time less this host's boot time, once the two wall clocks were found to differ. */
  #lead: number | undefined;

  constructor(identity: HostSigner, clock: Clock) {
    this.#identity = identity;
    this.#clock = clock;
  }

  token(): Promise<string> {
    const { name: host, realm, kid, signingKey } = this.#identity;
    const jti = randomBytes(JTI_BYTES).toString('base64url');
    const now = this.#lead === undefined ? this.#clock.now() : this.#clock.boot() + this.#lead;
    return signHostToken({ host, kid, realm, jti }, signingKey, now);
  }

  refused(code: string, serviceNow: number | undefined): boolean {
    if ((code !== 'token-expired' && code !== 'token-early') || serviceNow === undefined) return false;
    this.#lead = serviceNow + ROUNDED_MS - this.#clock.boot();
    return true;
  }
}
