// What travels about changes that wait for signatures of others: what the service says of each, a change with its roles,
// and signatures that are added. JSON, like the rest of the exchange. A reader verifies each change by itself
// (`proposal.ts`): what the service says of it is a hint.
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { parseJson } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { array, hex, integer, object, string } from '../shape.ts';
import type { KeyId, Signature } from '../tuf/keys.ts';
import { EXCHANGE_LIMITS, encodePublished, readPublished, readUploads, uploadJson } from './exchange.ts';
import type { Published, RoleUpload } from './exchange.ts';

export const PENDING_LIMITS = {
  /** Changes that wait at once; of one role, the oldest makes room. */
  most: 64,
  mostOfRole: 8,
  /** What waits of one role, in bytes. */
  bytesOfRole: EXCHANGE_LIMITS.body,
  /** How long one waits, in milliseconds. */
  keptMs: 7 * 24 * 3600_000,
  /** The answer of `GET /v1/pending`, and what it says of one change. */
  list: 4 << 20,
  answer: 64 << 10,
} as const;

/** A role of a change that waits: how many of its keys must sign, and who has. */
export interface WaitingRole {
  readonly name: string;
  readonly version: number;
  readonly threshold: number;
  readonly signed: readonly KeyId[];
}

/** `GET /v1/pending`: one of those that wait. */
export interface Waiting {
  readonly id: string;
  /** When it came; milliseconds since the epoch. */
  readonly at: number;
  readonly roles: readonly WaitingRole[];
}

/** `GET /v1/pending/ID`. */
export interface PendingChange {
  readonly id: string;
  readonly at: number;
  readonly roles: readonly RoleUpload[];
}

/** The answer to a change, or to a signature: it waits, or it is published. */
export type Proposed =
  { readonly id: string; readonly waiting: Waiting } | { readonly id: string; readonly published: Published };

/** `POST /v1/pending/ID/signatures`. */
export interface MoreSignatures {
  readonly role: string;
  readonly signatures: readonly Signature[];
}

export function encodeProposed(proposed: Proposed): JsonObject {
  const { id } = proposed;
  return 'published' in proposed
    ? { id, published: encodePublished(proposed.published) }
    : { id, waiting: waitingJson(proposed.waiting) };
}

export function parseProposed(body: Uint8Array): Proposed {
  const raw = object(parseJson(body, PENDING_LIMITS.answer), 'pending');
  const id = hex(raw['id'], 'pending.id', 32);
  return raw['published'] === undefined
    ? { id, waiting: readWaiting(raw['waiting']) }
    : { id, published: readPublished(raw['published']) };
}

export function parsePending(body: Uint8Array): readonly Waiting[] {
  const raw = object(parseJson(body, PENDING_LIMITS.list), 'pending');
  return array(raw['pending'], 'pending', PENDING_LIMITS.most).map(readWaiting);
}

export function waitingJson({ id, at, roles }: Waiting): JsonObject {
  return {
    id,
    at,
    roles: roles.map(({ name, version, threshold, signed }) => ({
      name,
      version,
      threshold,
      signed,
      missing: Math.max(0, threshold - signed.length),
    })),
  };
}

export function readWaiting(value: Json | undefined): Waiting {
  const raw = object(value, 'pending');
  return {
    id: hex(raw['id'], 'pending.id', 32),
    at: integer(raw['at'], 'pending.at'),
    roles: array(raw['roles'], 'pending.roles', EXCHANGE_LIMITS.rolesPerPublish).map(readWaitingRole),
  };
}

function readWaitingRole(value: Json): WaitingRole {
  const raw = object(value, 'pending.roles');
  return {
    name: string(raw['name'], 'pending.roles.name'),
    version: integer(raw['version'], 'pending.roles.version', 1),
    threshold: integer(raw['threshold'], 'pending.roles.threshold', 1, LIMITS.keysPerRole),
    signed: array(raw['signed'], 'pending.roles.signed', LIMITS.keysPerRole).map((id) =>
      string(id, 'pending.roles.signed'),
    ),
  };
}

export function encodePendingChange({ id, at, roles }: PendingChange): JsonObject {
  return { id, at, roles: roles.map(uploadJson) };
}

export function parsePendingChange(body: Uint8Array): PendingChange {
  const raw = object(parseJson(body, EXCHANGE_LIMITS.body), 'pending');
  return {
    id: hex(raw['id'], 'pending.id', 32),
    at: integer(raw['at'], 'pending.at'),
    roles: readUploads(raw['roles'], 'pending.roles'),
  };
}

export function encodeSignatures({ role, signatures }: MoreSignatures): JsonObject {
  const list = signatures.map(({ keyid, sig }) => ({ keyid, sig: Buffer.from(sig).toString('hex') }));
  return { role, signatures: list };
}

/** At least one. */
export function parseSignatures(body: Uint8Array): MoreSignatures {
  const raw = object(parseJson(body, EXCHANGE_LIMITS.small), 'signatures');
  const signatures = array(raw['signatures'], 'signatures', LIMITS.keysPerRole).map((each) => {
    const { keyid, sig } = object(each, 'signatures');
    return { keyid: string(keyid, 'signatures.keyid'), sig: Buffer.from(hex(sig, 'signatures.sig'), 'hex') };
  });
  if (signatures.length === 0) throw new ManifestError('metadata-malformed', 'signatures: one is needed');
  return { role: string(raw['role'], 'signatures.role'), signatures };
}
