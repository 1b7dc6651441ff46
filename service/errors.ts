// Every way in which the service refuses, and the one place where an error becomes an HTTP answer. The codes are
// API: documented in docs/spec.md, never reworded lightly. What is not a LapseError is a fault of ours: the answer
// says `internal` and no more, because its message may quote what nobody should see.
import { LapseError } from '../manifest/errors.ts';
import type { ManifestCode } from '../manifest/errors.ts';

export type ServiceCode =
  | 'conflict'
  | 'not-found'
  | 'realm-exists'
  | 'realm-missing'
  | 'role-not-publishable'
  | 'online-keys-mismatch'
  | 'file-missing'
  | 'file-unlisted'
  | 'floor-behind'
  | 'floor-ahead'
  | 'epoch-superseded'
  | 'host-vanished'
  | 'token-missing'
  | 'token-replayed'
  | 'tokens-exhausted'
  | 'join-exists'
  | 'drill-exists'
  | 'pending-full'
  | 'pending-superseded'
  | 'signature-refused'
  | 'request-malformed'
  | 'body-too-large'
  | 'media-type-unsupported'
  | 'streams-exhausted'
  | 'store-failed'
  | 'store-corrupt'
  | 'store-locked'
  | 'store-unsupported'
  | 'config-invalid'
  | 'listen-failed'
  | 'internal';

export class ServiceError extends LapseError<ServiceCode> {}

export interface Answer {
  readonly status: number;
  readonly body: { readonly code: string; readonly message: string };
}

/** Statuses by code. Any other LapseError is a well-formed request that must not be done: 422. */
const STATUS: Readonly<Partial<Record<ServiceCode | ManifestCode, number>>> = {
  'json-invalid': 400,
  'json-too-deep': 400,
  'json-too-many-values': 400,
  'json-duplicate-key': 400,
  'json-forbidden-key': 400,
  'json-not-canonical': 400,
  'metadata-malformed': 400,
  'request-malformed': 400,
  'token-missing': 401,
  'token-malformed': 401,
  'token-expired': 401,
  'token-early': 401,
  'token-replayed': 401,
  'host-unknown': 401,
  'host-removed': 401,
  'signature-threshold': 403,
  'signature-refused': 403,
  'not-found': 404,
  'realm-missing': 404,
  'role-unknown': 404,
  conflict: 409,
  'realm-exists': 409,
  'join-exists': 409,
  'drill-exists': 409,
  'pending-superseded': 409,
  'json-too-large': 413,
  'body-too-large': 413,
  'media-type-unsupported': 415,
  'tokens-exhausted': 429,
  'pending-full': 429,
  internal: 500,
  'store-corrupt': 500,
  'store-failed': 503,
  'streams-exhausted': 503,
};

export function answerTo(error: unknown): Answer {
  const known = error instanceof LapseError ? (error as LapseError) : fromFastify(error);
  const { code, message } = known;
  return { status: (STATUS as Readonly<Record<string, number>>)[code] ?? 422, body: { code, message } };
}

/** Fastify refuses some requests before a route sees them; its messages may quote them, so ours are sent. */
function fromFastify(error: unknown): ServiceError {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  switch (status) {
    case 413:
      return new ServiceError('body-too-large', 'the request body is larger than this service accepts');
    case 415:
      return new ServiceError('media-type-unsupported', 'a request body must be application/json');
    case 400:
    case 414:
      return new ServiceError('request-malformed', 'the request is not one that this service understands');
    default:
      return new ServiceError('internal', 'the service failed; its log says why');
  }
}
