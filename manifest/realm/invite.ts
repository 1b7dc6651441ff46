// Joining. An invitation is one line: where the service is, how to know it, which realm, and a secret that the service
// never sees. A host that asks to join proves with that secret that its request is whole: name, keys and pools. So neither
// a stranger nor the service can put other keys in their place.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import { ManifestError, isLapseError } from '../errors.ts';
import { parseJson } from '../json.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { parseHostName, parseRealmId } from '../names.ts';
import type { PoolName, RealmId } from '../names.ts';
import { formatInstant, hex, instant, object, string } from '../shape.ts';
import { readPools } from './hosts.ts';
import type { HostKeys } from './hosts.ts';
import { keyJson, readRecipientKey, readSigningKey } from './recipient.ts';

const PREFIX = 'lapse-join-1.';
export const INVITE_ID_BYTES = 16;
export const INVITE_SECRET_BYTES = 32;

export interface Invite {
  /** The service's address. */
  readonly service: string;
  /** How its certificate is known; absent for plain HTTP on loopback. */
  readonly pin?: string;
  readonly realm: RealmId;
  /** In hexadecimal; the service sees it. */
  readonly id: string;
  /** 32 bytes; the service never sees them. */
  readonly secret: Uint8Array;
  readonly pools: readonly PoolName[];
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

export interface JoinRequest extends HostKeys {
  readonly id: string;
  /** HMAC-SHA256 under the invitation's secret, in hexadecimal. */
  readonly mac: string;
}

/** The line as bytes, since it holds a secret; the caller zeroes them. */
export function encodeInvite(invite: Invite): Buffer {
  const { service, pin, realm, id, secret, pools, expires } = invite;
  const json = canonicalJson({
    service,
    ...(pin === undefined ? {} : { pin }),
    realm,
    id,
    secret: Buffer.from(secret).toString('base64url'),
    pools,
    expires: formatInstant(expires),
  });
  return Buffer.from(PREFIX + Buffer.from(json).toString('base64url'));
}

/** @throws ManifestError invite-malformed */
export function parseInvite(line: Uint8Array): Invite {
  const text = Buffer.from(line).toString('latin1').trim();
  if (!text.startsWith(PREFIX) || text.length > LIMITS.inviteBytes) throw malformedInvite();
  try {
    const json = Buffer.from(text.slice(PREFIX.length), 'base64url');
    const raw = object(parseJson(json, LIMITS.inviteBytes), 'invite');
    const secret = Buffer.from(string(raw['secret'], 'invite.secret'), 'base64url');
    if (secret.length !== INVITE_SECRET_BYTES) throw malformedInvite();
    return {
      service: string(raw['service'], 'invite.service'),
      ...(raw['pin'] === undefined ? {} : { pin: string(raw['pin'], 'invite.pin') }),
      realm: parseRealmId(string(raw['realm'], 'invite.realm')),
      id: hex(raw['id'], 'invite.id', INVITE_ID_BYTES),
      secret,
      pools: readPools(raw['pools'], 'invite.pools'),
      expires: instant(raw['expires'], 'invite.expires'),
    };
  } catch (cause) {
    if (!isLapseError(cause)) throw cause;
    throw malformedInvite();
  }
}

export function joinRequest(invite: Invite, keys: HostKeys): JoinRequest {
  const request = { ...keys, id: invite.id };
  return { ...request, mac: Buffer.from(joinMac(invite, request)).toString('hex') };
}

/**
 * Whether a request was made with this invitation, whole.
 * @throws ManifestError join-refused, invite-expired
 */
export function checkJoin(request: JoinRequest, invite: Omit<Invite, 'service' | 'pin'>, now: number): void {
  const mac = joinMac(invite, request);
  const isWhole = request.id === invite.id && timingSafeEqual(Buffer.from(request.mac, 'hex'), mac);
  if (!isWhole || request.pools.join() !== invite.pools.join()) {
    throw new ManifestError(
      'join-refused',
      `the request of ${request.name} was not made with this invitation`,
    );
  }
  if (invite.expires <= now) throw new ManifestError('invite-expired', 'the invitation has expired');
}

function joinMac(
  { secret, realm }: Pick<Invite, 'secret' | 'realm'>,
  { id, name, signing, encryption, pools }: Omit<JoinRequest, 'mac'>,
): Buffer {
  const bound = {
    purpose: 'lapse-join',
    realm,
    id,
    name,
    signing: keyJson(signing),
    encryption: keyJson(encryption),
    pools,
  };
  return createHmac('sha256', secret).update(canonicalJson(bound)).digest();
}

export function encodeJoin({ id, name, signing, encryption, pools, mac }: JoinRequest): JsonObject {
  return { id, name, signing: keyJson(signing), encryption: keyJson(encryption), pools, mac };
}

/** @throws ManifestError the readers' codes */
export function readJoin(value: Json | undefined): JoinRequest {
  const raw = object(value, 'join');
  return {
    id: hex(raw['id'], 'join.id', INVITE_ID_BYTES),
    name: parseHostName(string(raw['name'], 'join.name')),
    signing: readSigningKey(raw['signing'], 'join.signing'),
    encryption: readRecipientKey(raw['encryption'], 'join.encryption'),
    pools: readPools(raw['pools'], 'join.pools'),
    mac: hex(raw['mac'], 'join.mac', 32),
  };
}

function malformedInvite(): ManifestError {
  return new ManifestError('invite-malformed', 'this is not an invitation of `lapse host invite`');
}
