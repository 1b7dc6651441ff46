// What `targets` lets a namespace ask of hosts: which pools it may be encrypted to, who its custodians are, how long its
// lease may last, and whether a secret may go on being served when the lease is over. A host ignores, and reports,
// what exceeds it. Members that this version does not know are kept, and allow nothing.
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { parsePoolName } from '../names.ts';
import type { PoolName } from '../names.ts';
import { array, integer, object, string } from '../shape.ts';
import { keyJson, readRecipientKey, recipientOf } from './recipient.ts';
import type { Recipient } from './recipient.ts';

/** What becomes of a secret when the host's lease is over: access ends, or goes on without any bound. */
export type WhenStale = 'deny' | 'serve';

export interface Policy {
  readonly pools: readonly PoolName[];
  /** People who can decrypt what is put, so that the loss of a pool loses no secret. */
  readonly custodians: readonly Recipient[];
  /** The longest lease, in seconds; absent: the realm's. */
  readonly leaseSeconds?: number;
  /** The most that a secret may ask for. */
  readonly whenStale: WhenStale;
}

/** @throws ManifestError policy-malformed, and the readers' codes */
export function readPolicy(value: Json | undefined, where: string): Policy {
  const raw = object(value, where);
  const pools = array(raw['pools'], `${where}.pools`, LIMITS.pools).map((pool) =>
    parsePoolName(string(pool, `${where}.pools`)),
  );
  const custodians = array(raw['custodians'], `${where}.custodians`, LIMITS.custodians).map((key) =>
    recipientOf(readRecipientKey(key, `${where}.custodians`)),
  );
  if (pools.length === 0 || custodians.length === 0) {
    throw new ManifestError('policy-malformed', `${where}: needs a pool and a custodian`);
  }
  const names = [...pools, ...custodians.map(({ kid }) => kid)];
  if (new Set(names).size !== names.length) {
    throw new ManifestError('policy-malformed', `${where}: a pool or a custodian stands twice`);
  }
  if (pools.length + custodians.length > LIMITS.recipientsPerVersion) {
    throw new ManifestError('policy-malformed', `${where}: more recipients than a version may have`);
  }
  return {
    pools,
    custodians,
    ...(raw['lease'] === undefined
      ? {}
      : { leaseSeconds: integer(raw['lease'], `${where}.lease`, 1, LIMITS.leaseSeconds) }),
    whenStale: readWhenStale(raw['whenStale'], `${where}.whenStale`),
  };
}

export function policyJson({ pools, custodians, leaseSeconds, whenStale }: Policy): JsonObject {
  return {
    pools,
    custodians: custodians.map(({ key }) => keyJson(key)),
    ...(leaseSeconds === undefined ? {} : { lease: leaseSeconds }),
    whenStale,
  };
}

export function readWhenStale(value: Json | undefined, where: string): WhenStale {
  if (value === 'deny' || value === 'serve') return value;
  throw new ManifestError('metadata-malformed', `${where}: "deny" or "serve" expected`);
}
