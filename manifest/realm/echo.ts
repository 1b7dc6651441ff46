// The answer that renews a lease. A host sends a nonce; the service answers with the version and the hash of the newest
// timestamp, signed by the timestamp key over that nonce, from a read that began after the nonce came. So no delayed or
// replayed answer ever renews anything, whatever a wall clock says.
import { ManifestError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { hex, integer } from '../shape.ts';
import { checkThreshold } from '../tuf/keys.ts';
import { parseSignedFile, signMetadata } from '../tuf/metadata.ts';
import type { Signer } from '../tuf/metadata.ts';
import type { TrustedSet } from '../tuf/trusted-set.ts';

/** Bytes of a nonce. */
export const NONCE_BYTES = 32;

/** Which timestamp is the newest. */
export interface Echo {
  readonly version: number;
  readonly sha256: string;
}

/** `nonce` in hexadecimal. */
export function signEcho({ version, sha256 }: Echo, nonce: string, signers: readonly Signer[]): Uint8Array {
  const signed: JsonObject = { _type: 'lapse-echo', nonce, version, sha256 };
  return signMetadata(signed, signers);
}

/** @throws ManifestError echo-mismatch: of another nonce; signature-threshold and the readers' codes */
export function checkEcho(set: TrustedSet, bytes: Uint8Array, nonce: string): Echo {
  const { raw, signatures, canonical } = parseSignedFile(bytes, 'lapse-echo', LIMITS.echoBytes);
  checkThreshold('lapse-echo', set.root.role.roles.timestamp, signatures, canonical);
  if (hex(raw['nonce'], 'echo.nonce', NONCE_BYTES) !== nonce) {
    throw new ManifestError('echo-mismatch', 'the answer is to another nonce than the one that was sent');
  }
  return {
    version: integer(raw['version'], 'echo.version', 1),
    sha256: hex(raw['sha256'], 'echo.sha256', 32),
  };
}

/** Whether the timestamp that this set trusts is the newest one. */
export function confirms({ version, sha256 }: Echo, set: TrustedSet): boolean {
  return set.timestamp?.role.version === version && set.timestamp.sha256 === sha256;
}
