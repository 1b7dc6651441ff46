// Every way in which manifest/ refuses its input. The codes are API: documented in docs/spec.md, never reworded
// lightly. A message says what was wrong and where, and never contains a secret, a key, or bytes of either.

/** The base of every typed error of Lapse: a stable `code`, a sentence for a person, the `cause` kept. */
export class LapseError<Code extends string = string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

export function isLapseError(error: unknown): error is LapseError {
  return error instanceof LapseError;
}

export type ManifestCode =
  | 'json-invalid'
  | 'json-too-large'
  | 'json-too-deep'
  | 'json-too-many-values'
  | 'json-duplicate-key'
  | 'json-forbidden-key'
  | 'json-not-canonical'
  | 'metadata-malformed'
  | 'metadata-type'
  | 'metadata-expired'
  | 'metadata-missing'
  | 'spec-version-unsupported'
  | 'key-unsupported'
  | 'signature-threshold'
  | 'version-rollback'
  | 'version-mismatch'
  | 'length-mismatch'
  | 'hash-mismatch'
  | 'role-unknown'
  | 'role-vanished'
  | 'search-too-long'
  | 'name-invalid'
  | 'path-outside-role'
  | 'secret-malformed'
  | 'secret-vanished'
  | 'version-reused'
  | 'floor-sank'
  | 'floor-behind'
  | 'grant-malformed'
  | 'value-too-large'
  | 'envelope-malformed'
  | 'key-wrap-mismatch'
  | 'lease-malformed'
  | 'policy-malformed'
  | 'policy-exceeded'
  | 'fleet-malformed'
  | 'epoch-rollback'
  | 'removal-vanished'
  | 'revoker-exceeds'
  | 'echo-mismatch'
  | 'receipt-refused'
  | 'drill-refused'
  | 'token-malformed'
  | 'token-expired'
  | 'token-early'
  | 'host-unknown'
  | 'host-removed'
  | 'invite-malformed'
  | 'invite-expired'
  | 'join-refused';

export class ManifestError extends LapseError<ManifestCode> {}
