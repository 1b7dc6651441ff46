// The birth of a realm: root 1, targets 1, fleet 1 with the pool `default`, and fleet-hosts 1, signed by identities that are
// at hand. Until the service has answered they wait in genesis.json, so that a run that is broken off can go on.
import { canonicalJson } from '../../manifest/canonical-json.ts';
import { isLapseError } from '../../manifest/errors.ts';
import { parseJson } from '../../manifest/json.ts';
import type { JsonObject } from '../../manifest/json.ts';
import { parsePoolName } from '../../manifest/names.ts';
import { EXCHANGE_LIMITS, encodeGenesis, parseGenesis } from '../../manifest/realm/exchange.ts';
import type { Genesis, OnlineKeys, RoleUpload } from '../../manifest/realm/exchange.ts';
import { genesisFleet, withEpoch } from '../../manifest/realm/fleet.ts';
import {
  FLEET,
  FLEET_HOSTS,
  firstRoot,
  firstTargets,
  genesisTargets,
  realmId,
} from '../../manifest/realm/realm.ts';
import { recipientOf } from '../../manifest/realm/recipient.ts';
import type { RecipientKey } from '../../manifest/realm/recipient.ts';
import { array, object, string } from '../../manifest/shape.ts';
import { withSignatures } from '../../manifest/tuf/metadata.ts';
import { trustRoot } from '../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../errors.ts';
import type { ServiceAddress } from '../http.ts';
import type { Identity } from '../identity/identity.ts';
import { makeEpoch } from './pool-keys.ts';

export const FIRST_POOL = parsePoolName('default');

export interface Founders {
  /** They sign root and targets; `threshold` of them are enough later. */
  readonly roots: readonly Identity[];
  readonly threshold: number;
  /** Signs the fleet. */
  readonly operator: Identity;
  /** Who can recover a pool's key. */
  readonly custodians: readonly RecipientKey[];
}

/** Everything that the service gets. The pool's private key is in it only as its custodians' copies. */
export async function makeGenesis(
  { roots, threshold, operator, custodians }: Founders,
  online: OnlineKeys,
  lease: number,
  expires: number,
): Promise<Genesis> {
  const people = { signers: roots.map((root) => root.public.signing), threshold };
  const service = (key: string) => ({ signers: [key], threshold: 1 });
  const rootJson = firstRoot(
    {
      root: people,
      targets: people,
      snapshot: service(online.snapshot),
      timestamp: service(online.timestamp),
    },
    expires,
  );
  const root = await signed(rootJson, roots);
  const realm = realmId(trustRoot(root).root);
  const { epoch, raw } = await makeEpoch(
    realm,
    FIRST_POOL,
    1,
    custodians.map((key) => recipientOf(key)),
  );
  raw.fill(0);
  const signatories = { signers: [operator.public.signing], threshold: 1 };
  const fleet = genesisFleet({ ...signatories, custodians }, expires);
  const role = async (name: string, json: JsonObject, by: readonly Identity[]): Promise<RoleUpload> => ({
    name,
    metadata: await signed(json, by),
  });
  return {
    root,
    roles: [
      await role('targets', genesisTargets(signatories, expires), roots),
      await role(FLEET, { ...fleet, ...withEpoch(fleet, FIRST_POOL, epoch) }, [operator]),
      await role(FLEET_HOSTS, firstTargets(expires), [operator]),
    ],
    lease,
  };
}

async function signed(json: JsonObject, by: readonly Identity[]): Promise<Uint8Array> {
  const bytes = canonicalJson(json);
  const signatures = by.map(async (identity) => ({
    keyid: identity.public.keyid,
    sig: await identity.sign(bytes),
  }));
  return withSignatures(json, await Promise.all(signatures));
}

/** A genesis on its way. */
export interface Beginning {
  readonly service: ServiceAddress;
  readonly genesis: Genesis;
  /** The identities that were made for it, which go again if the service refuses. */
  readonly made: readonly string[];
}

export function encodeBeginning({ service, genesis, made }: Beginning): Uint8Array {
  const { url, pin } = service;
  const json = { service: url, ...(pin === undefined ? {} : { pin }), made, ...encodeGenesis(genesis) };
  return Buffer.from(`${JSON.stringify(json)}\n`);
}

/** @throws ClientError realm-directory-malformed */
export function parseBeginning(bytes: Uint8Array, path: string): Beginning {
  try {
    const raw = object(parseJson(bytes, EXCHANGE_LIMITS.body), 'genesis.json');
    const url = string(raw['service'], 'service');
    return {
      service: raw['pin'] === undefined ? { url } : { url, pin: string(raw['pin'], 'pin') },
      genesis: parseGenesis(bytes),
      made: array(raw['made'], 'made', 8).map((name) => string(name, 'made')),
    };
  } catch (cause) {
    if (!isLapseError(cause)) throw cause;
    throw new ClientError('realm-directory-malformed', `${path}: ${cause.message}`, { cause });
  }
}
