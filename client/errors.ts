// What can go wrong between a client and the service, on a client's disk, or in an operator's hands. Stable codes.
import { LapseError } from '../manifest/errors.ts';

export type ClientCode =
  | 'service-unreachable'
  | 'service-refused'
  | 'service-failed'
  | 'service-conflict'
  | 'not-found'
  | 'answer-too-large'
  | 'stream-ended'
  | 'trust-store-unreadable'
  | 'trust-store-unwritable'
  | 'realm-directory-missing'
  | 'realm-directory-exists'
  | 'realm-directory-malformed'
  | 'key-unreadable'
  | 'secret-unknown'
  | 'grant-unknown'
  | 'namespace-unknown'
  | 'value-missing'
  | 'value-unreadable'
  | 'not-confirmed'
  | 'usage';

export class ClientError extends LapseError<ClientCode> {}
