// What can go wrong between a client and the service, on a client's disk, or in an operator's hands. Stable codes.
import { LapseError } from '../manifest/errors.ts';

export type ClientCode =
  | 'service-unreachable'
  | 'service-refused'
  | 'service-failed'
  | 'service-conflict'
  | 'token-refused'
  | 'pin-needed'
  | 'pin-mismatch'
  | 'realm-moving'
  | 'not-found'
  | 'answer-too-large'
  | 'stream-ended'
  | 'trust-store-unreadable'
  | 'trust-store-unwritable'
  | 'realm-directory-missing'
  | 'realm-directory-exists'
  | 'realm-directory-malformed'
  | 'realm-mismatch'
  | 'key-unreadable'
  | 'identity-unknown'
  | 'identity-exists'
  | 'identity-unreadable'
  | 'identity-locked'
  | 'passphrase-wrong'
  | 'passphrase-missing'
  | 'public-line-invalid'
  | 'decryption-refused'
  | 'agent-unavailable'
  | 'agent-refused'
  | 'signatures-missing'
  | 'root-file-malformed'
  | 'drill-mismatch'
  | 'pending-unknown'
  | 'pending-mismatch'
  | 'drill-reserved'
  | 'drill-running'
  | 'drill-ended'
  | 'drill-silent'
  | 'drill-unmet'
  | 'drill-aborted'
  | 'report-unwritable'
  | 'lease-over'
  | 'unconfirmed'
  | 'receipts-conflict'
  | 'custodian-missing'
  | 'pool-unknown'
  | 'pool-exists'
  | 'host-missing'
  | 'host-exists'
  | 'join-unknown'
  | 'exec-failed'
  | 'rotation-unfinished'
  | 'rotation-unknown'
  | 'import-malformed'
  | 'secret-unknown'
  | 'grant-unknown'
  | 'namespace-unknown'
  | 'value-missing'
  | 'value-unreadable'
  | 'not-confirmed'
  | 'usage';

export class ClientError extends LapseError<ClientCode> {
  /** The service's own code, where it refused. */
  readonly reason?: string;
  /** The service's wall time when it refused, milliseconds since the epoch. */
  readonly serviceNow?: number;
  /** The change that waits for signatures. */
  readonly pending?: string;

  constructor(
    code: ClientCode,
    message: string,
    options: { cause?: unknown; reason?: string; serviceNow?: number; pending?: string } = {},
  ) {
    super(code, message, 'cause' in options ? { cause: options.cause } : undefined);
    if (options.reason !== undefined) this.reason = options.reason;
    if (options.serviceNow !== undefined) this.serviceNow = options.serviceNow;
    if (options.pending !== undefined) this.pending = options.pending;
  }
}
