// The terms of a namespace as options: who signs, who takes back, who can decrypt, and what it may ask of hosts.
import type { Command } from 'commander';
import { LIMITS } from '../../manifest/limits.ts';
import { parsePoolName } from '../../manifest/names.ts';
import type { PoolName } from '../../manifest/names.ts';
import type { Policy } from '../../manifest/realm/policy.ts';
import type { NamespaceTerms } from '../../manifest/realm/realm.ts';
import { recipientOf } from '../../manifest/realm/recipient.ts';
import { ClientError } from '../errors.ts';
import type { PublicKeys } from '../identity/identity.ts';
import type { Identities } from './identities.ts';
import { asUsage, collect, parseCount, parseSeconds } from './options.ts';
import type { Session } from './session.ts';

/** What is not given stays as it is, or is the default. */
export interface TermsOptions {
  readonly signer?: readonly string[];
  readonly threshold?: string;
  readonly custodian?: readonly string[];
  readonly revoker?: readonly string[] | false;
  readonly pool?: readonly string[];
  readonly whenStaleServe?: boolean;
  readonly lease?: string;
}

const SELF = ['operator'];
const FIRST_POOLS = ['default'];

export const WHO = `
WHO is the name of an identity here, or a public line (lapse identity show NAME, on their machine).`;

/** `role` says who it is when nobody is named. */
export function withTermsOptions(command: Command, role: (of: string) => string): Command {
  return command
    .option('--signer <who>', `publishes secrets (${role('operator')}; repeatable)`, collect)
    .option('--threshold <number>', `how many signers it takes (${role('1')})`)
    .option('--custodian <who>', `can decrypt what is put (${role('operator')}; repeatable)`, collect)
    .option(
      '--revoker <who>',
      `can take back, alone, and nothing else (${role('operator')}; repeatable)`,
      collect,
    )
    .option('--pool <name>', `hosts that may serve it (${role('default')}; repeatable)`, collect)
    .option('--lease <time>', "a lease shorter than the realm's")
    .option('--when-stale-serve', 'secrets may ask to be served on after the lease, without any bound');
}

/** @throws ClientError usage, identity-unknown, public-line-invalid */
export async function newTerms(options: TermsOptions, identities: Identities): Promise<NamespaceTerms> {
  const named = {
    signer: SELF,
    revoker: SELF,
    custodian: SELF,
    pool: FIRST_POOLS,
    threshold: '1',
    ...options,
  };
  const nobody: NamespaceTerms = {
    signers: [],
    threshold: 1,
    revokers: [],
    policy: { pools: [], custodians: [], whenStale: 'deny' },
  };
  return changedTerms(nobody, named, identities);
}

/** @throws ClientError usage, identity-unknown, public-line-invalid */
export async function changedTerms(
  old: NamespaceTerms,
  options: TermsOptions,
  identities: Identities,
): Promise<NamespaceTerms> {
  const { signer, revoker, threshold } = options;
  const hexes = async (named: readonly string[]): Promise<readonly string[]> =>
    (await people(named, identities)).map(({ signing }) => signing);
  const signers = signer ? await hexes(signer) : old.signers;
  const needed = threshold ?? String(old.threshold);
  return {
    signers,
    threshold: parseCount(needed, '--threshold', 1, signers.length),
    revokers: revoker === undefined ? old.revokers : await hexes(revoker === false ? [] : revoker),
    policy: await changedPolicy(old.policy, options, identities),
  };
}

async function changedPolicy(old: Policy, options: TermsOptions, identities: Identities): Promise<Policy> {
  const { pool, custodian, lease, whenStaleServe } = options;
  return {
    ...old,
    ...(pool && { pools: asUsage(() => [...new Set<PoolName>(pool.map(parsePoolName))]) }),
    ...(custodian && {
      custodians: (await people(custodian, identities)).map(({ decryption }) => recipientOf(decryption)),
    }),
    ...(lease !== undefined && { leaseSeconds: parseSeconds(lease, '--lease', 1, LIMITS.leaseSeconds) }),
    ...(whenStaleServe !== undefined && { whenStale: whenStaleServe ? 'serve' : 'deny' }),
  };
}

/** @throws ClientError pool-unknown */
export function checkPools({ policy }: NamespaceTerms, { fleet }: Session): void {
  for (const pool of policy.pools) {
    if (!fleet.pools.has(pool)) throw new ClientError('pool-unknown', `the fleet has no pool ${pool}`);
  }
}

/** For the report of a command. */
export function termsJson({ signers, threshold, revokers, policy }: NamespaceTerms) {
  return {
    signers: signers.length,
    threshold,
    revokers: revokers.length,
    custodians: policy.custodians.length,
    pools: policy.pools,
    ...(policy.leaseSeconds === undefined ? {} : { lease: policy.leaseSeconds }),
    whenStale: policy.whenStale,
  };
}

/** Each person once. */
export async function people(
  named: readonly string[],
  identities: Identities,
): Promise<readonly PublicKeys[]> {
  const found = new Map<string, PublicKeys>();
  for (const who of named) {
    const keys = await identities.publicOf(who);
    found.set(keys.keyid, keys);
  }
  return [...found.values()];
}
