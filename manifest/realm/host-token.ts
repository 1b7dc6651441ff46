// A host's word who it is, for one request: a JWT (RFC 7519) that lives for a minute, signed with the host's key, made out
// to the service of one realm. `jti` is for the service to see that none is used twice.
import { SignJWT, decodeProtectedHeader, importJWK, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';
import type { KeyObject } from 'node:crypto';
import { ManifestError, isLapseError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { parseHostName } from '../names.ts';
import type { HostName, RealmId } from '../names.ts';
import type { HostRecord } from './hosts.ts';

const TYPE = 'lapse-host+jwt';
/** Seconds. The tolerance goes both ways, for clocks that are a little off. */
export const TOKEN_LIFETIME_S = 60;
export const TOKEN_TOLERANCE_S = 30;

export interface HostToken {
  readonly host: HostName;
  readonly jti: string;
  /** Milliseconds since the epoch: until then `jti` must not be accepted again. */
  readonly until: number;
}

export interface TokenTerms {
  readonly host: HostName;
  readonly kid: string;
  readonly realm: RealmId;
  /** 16 random bytes, base64url. */
  readonly jti: string;
}

/** `now` in milliseconds since the epoch, as the service counts. */
export async function signHostToken(
  { host, kid, realm, jti }: TokenTerms,
  key: KeyObject,
  now: number,
): Promise<string> {
  const issued = Math.floor(now / 1000);
  return new SignJWT({ jti })
    .setProtectedHeader({ alg: 'EdDSA', kid, typ: TYPE })
    .setIssuer(host)
    .setAudience(audience(realm))
    .setIssuedAt(issued)
    .setExpirationTime(issued + TOKEN_LIFETIME_S)
    .sign(key);
}

/**
 * `find` gives the record of the host whose signing key has that thumbprint.
 * @throws ManifestError token-malformed (also for another audience), token-expired, token-early, host-unknown
 */
export async function verifyHostToken(
  token: string,
  find: (kid: string) => HostRecord | undefined,
  realm: RealmId,
  now: number,
): Promise<HostToken> {
  try {
    if (token.length > LIMITS.tokenBytes) throw malformed();
    const record = find(decodeProtectedHeader(token).kid ?? '');
    if (!record)
      throw new ManifestError('host-unknown', 'no host of this realm has the key that signed the token');
    const { kty, crv, x } = record.signing;
    const { payload } = await jwtVerify(token, await importJWK({ kty, crv, x }, 'EdDSA'), {
      algorithms: ['EdDSA'],
      typ: TYPE,
      issuer: record.name,
      audience: audience(realm),
      currentDate: new Date(now),
      clockTolerance: TOKEN_TOLERANCE_S,
      requiredClaims: ['iat', 'exp', 'jti'],
    });
    return accepted(payload, record.name, now);
  } catch (cause) {
    if (isLapseError(cause)) throw cause;
    if ((cause as { code?: unknown }).code !== 'ERR_JWT_EXPIRED') throw malformed(cause);
    throw new ManifestError('token-expired', 'the token has expired', { cause });
  }
}

/** `jti` may be anything as far as the JOSE library knows; two that only look alike must not pass as different ones. */
function accepted({ iat, exp, jti }: JWTPayload, host: HostName, now: number): HostToken {
  if (!isSeconds(iat) || !isSeconds(exp) || exp - iat > TOKEN_LIFETIME_S) throw malformed();
  if (typeof jti !== 'string' || !/^[A-Za-z0-9_-]{22}$/.test(jti)) throw malformed();
  if (iat * 1000 > now + TOKEN_TOLERANCE_S * 1000) {
    throw new ManifestError('token-early', 'the token is from the future');
  }
  return { host: parseHostName(host), jti, until: (exp + TOKEN_TOLERANCE_S) * 1000 };
}

function isSeconds(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function audience(realm: RealmId): string {
  return `lapse:${realm}`;
}

function malformed(cause?: unknown): ManifestError {
  return new ManifestError('token-malformed', 'the token is not one of a host of this realm', { cause });
}
