// `fleet`: the pools with their epochs, and the hosts that were removed. Small, for every host fetches it. An epoch is
// one key pair of a pool; its private half stands here wrapped to the fleet's custodians only, so that the loss of every
// member loses no pool. It lists no files, and delegates `fleet-hosts`, where the members are.
import { ManifestError } from '../errors.ts';
import type { Json, JsonObject } from '../json.ts';
import { LIMITS } from '../limits.ts';
import { parseHostName, parsePoolName } from '../names.ts';
import type { HostName, PoolName } from '../names.ts';
import { array, formatInstant, instant, integer, object, string } from '../shape.ts';
import type { Verified } from '../tuf/metadata.ts';
import type { Targets } from '../tuf/targets.ts';
import { readWrappedKey, wrappedKeyJson } from './jwe.ts';
import type { WrappedKey } from './jwe.ts';
import type { Policy } from './policy.ts';
import { FLEET_HOSTS, delegation, firstTargets, keyTable } from './realm.ts';
import type { Signatories } from './realm.ts';
import { keyJson, readRecipientKey, recipientOf } from './recipient.ts';
import type { Recipient, RecipientKey } from './recipient.ts';

export interface PoolEpoch extends Recipient {
  /** The private half, one copy for each custodian of the fleet. */
  readonly custodians: readonly WrappedKey[];
}

export interface Pool {
  readonly name: PoolName;
  /** The current one: what is put now is encrypted to it. */
  readonly epoch: number;
  /** Ascending; older ones as long as a living version may name them. */
  readonly epochs: ReadonlyMap<number, PoolEpoch>;
}

export interface Removal {
  readonly host: HostName;
  /** Thumbprint of the signing key, so that the name may be given to another machine. */
  readonly kid: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface Fleet {
  readonly custodians: readonly Recipient[];
  readonly pools: ReadonlyMap<PoolName, Pool>;
  readonly removals: readonly Removal[];
}

/** @throws ManifestError fleet-malformed and the readers' codes */
export function readFleet({ raw, role }: Verified<Targets>): Fleet {
  const hosts = role.delegations.get(FLEET_HOSTS);
  const isPlain = hosts?.paths.join() === `${FLEET_HOSTS}/*` && hosts.terminating;
  if (role.targets.size > 0 || role.delegations.size !== 1 || !isPlain) {
    throw new ManifestError('fleet-malformed', 'fleet delegates fleet-hosts/* and lists no files');
  }
  return {
    custodians: readCustodians(raw['custodians']),
    pools: readPools(raw['pools']),
    removals: array(raw['removals'], 'fleet.removals', LIMITS.removals).map(readRemoval),
  };
}

/**
 * What one version of `fleet` may never do to the version before it, whoever signed.
 * @throws ManifestError epoch-rollback, removal-vanished
 */
export function checkFleetSuccession(old: Fleet, next: Fleet): void {
  for (const { name, epoch, epochs } of old.pools.values()) {
    const after = next.pools.get(name);
    if (!after || after.epoch < epoch) {
      throw new ManifestError('epoch-rollback', `fleet: the pool ${name} goes back from epoch ${epoch}`);
    }
    for (const [number, { kid }] of after.epochs) {
      if (number <= epoch && epochs.get(number)?.kid !== kid)
        throw new ManifestError(
          'epoch-rollback',
          `fleet: epoch ${number} of ${name} was not that key before`,
        );
    }
  }
  const removed = new Set(next.removals.map(({ host, kid }) => `${host} ${kid}`));
  if (old.removals.some(({ host, kid }) => !removed.has(`${host} ${kid}`))) {
    throw new ManifestError(
      'removal-vanished',
      'fleet: a host that was removed is no longer listed as removed',
    );
  }
}

/** Whom a new version of a namespace's secret is encrypted to: each allowed pool's current epoch, and the custodians. */
export function recipientsOf(fleet: Fleet, policy: Policy): readonly Recipient[] {
  return [...policy.pools.map((name) => currentEpoch(fleet, name)), ...policy.custodians];
}

/** @throws ManifestError fleet-malformed: there is no such pool */
export function currentEpoch(fleet: Fleet, name: PoolName): PoolEpoch {
  const pool = fleet.pools.get(name);
  const epoch = pool?.epochs.get(pool.epoch);
  if (!epoch) throw new ManifestError('fleet-malformed', `the fleet has no pool ${name}`);
  return epoch;
}

export interface FleetTerms extends Signatories {
  readonly custodians: readonly RecipientKey[];
}

/** Fleet 1, unsigned, without a pool yet; `hosts` signs fleet-hosts. */
export function genesisFleet(fleet: FleetTerms, expires: number): JsonObject {
  return {
    ...firstTargets(expires),
    delegations: {
      keys: keyTable(fleet.signers),
      roles: [delegation(FLEET_HOSTS, `${FLEET_HOSTS}/*`, fleet)],
    },
    custodians: fleet.custodians.map(keyJson),
    pools: {},
    removals: [],
  };
}

/** The changed member of `fleet` when a pool is made, or gets its next epoch. */
export function withEpoch(raw: JsonObject, pool: PoolName, epoch: PoolEpoch): JsonObject {
  const pools = object(raw['pools'], 'fleet.pools');
  // A pool may be called `constructor`, which every object has from its prototype.
  const old = Object.hasOwn(pools, pool) ? object(pools[pool], `fleet.pools.${pool}`) : {};
  const epochs = (old['epochs'] ?? []) as readonly Json[];
  const next = {
    epoch: epoch.epoch,
    key: keyJson(epoch.key),
    custodians: epoch.custodians.map(wrappedKeyJson),
  };
  return { pools: { ...pools, [pool]: { ...old, epoch: epoch.epoch, epochs: [...epochs, next] } } };
}

/** The changed member of `fleet` when a pool forgets epochs that no living version names. */
export function withoutEpochs(raw: JsonObject, pool: PoolName, dropped: ReadonlySet<number>): JsonObject {
  const pools = object(raw['pools'], 'fleet.pools');
  const old = object(pools[pool], `fleet.pools.${pool}`);
  const epochs = (old['epochs'] as readonly JsonObject[]).filter(
    ({ epoch }) => epoch === old['epoch'] || !dropped.has(epoch as number),
  );
  return { pools: { ...pools, [pool]: { ...old, epochs } } };
}

/**
 * The changed members of `fleet` when it gets other people: who signs fleet-hosts, and who has copies of the pools' private
 * halves. `copies` are new ones, by the thumbprint of the epoch's public key; those of whoever leaves are gone.
 */
export function withFleetPeople(
  raw: JsonObject,
  fleet: FleetTerms,
  copies: ReadonlyMap<string, readonly WrappedKey[]>,
): JsonObject {
  const staying = new Set(fleet.custodians.map((key) => recipientOf(key).kid));
  const epochs = (pool: JsonObject): readonly JsonObject[] =>
    (pool['epochs'] as readonly JsonObject[]).map((epoch) => {
      const { kid } = recipientOf(readRecipientKey(epoch['key'], 'fleet.pools'));
      const kept = (epoch['custodians'] as readonly Json[])
        .map((key) => readWrappedKey(key, 'fleet.pools'))
        .filter((key) => staying.has(key.kid));
      return { ...epoch, custodians: [...kept, ...(copies.get(kid) ?? [])].map(wrappedKeyJson) };
    });
  const pools = Object.entries(object(raw['pools'], 'fleet.pools')).map(([name, value]) => {
    const pool = object(value, `fleet.pools.${name}`);
    return [name, { ...pool, epochs: epochs(pool) }] as const;
  });
  return {
    delegations: {
      keys: keyTable(fleet.signers),
      roles: [delegation(FLEET_HOSTS, `${FLEET_HOSTS}/*`, fleet)],
    },
    custodians: fleet.custodians.map(keyJson),
    pools: Object.fromEntries(pools),
  };
}

/** The changed member of `fleet` when a host is removed. */
export function withRemoval(raw: JsonObject, { host, kid, at }: Removal): JsonObject {
  const removals = array(raw['removals'], 'fleet.removals', LIMITS.removals);
  return { removals: [...removals, { host, kid, at: formatInstant(at) }] };
}

export function isRemoved(fleet: Fleet, host: HostName, kid: string): boolean {
  return fleet.removals.some((removal) => removal.host === host && removal.kid === kid);
}

function readCustodians(value: Json | undefined): readonly Recipient[] {
  const custodians = array(value, 'fleet.custodians', LIMITS.custodians).map((key) =>
    recipientOf(readRecipientKey(key, 'fleet.custodians')),
  );
  if (custodians.length > 0 && new Set(custodians.map(({ kid }) => kid)).size === custodians.length) {
    return custodians;
  }
  throw new ManifestError('fleet-malformed', 'fleet: at least one custodian, each once');
}

/** A key that served two epochs would still be known to whoever was removed between them. */
function readPools(value: Json | undefined): ReadonlyMap<PoolName, Pool> {
  const entries = Object.entries(object(value, 'fleet.pools'));
  if (entries.length > LIMITS.pools) throw new ManifestError('fleet-malformed', 'fleet.pools: too many');
  const pools = entries.map(([name, pool]) => readPool(parsePoolName(name), pool));
  const kids = pools.flatMap(({ epochs }) => [...epochs.values()].map(({ kid }) => kid));
  if (new Set(kids).size !== kids.length) {
    throw new ManifestError('fleet-malformed', 'fleet.pools: each epoch of each pool has a key of its own');
  }
  return new Map(pools.map((pool) => [pool.name, pool]));
}

function readPool(name: PoolName, value: Json): Pool {
  const where = `fleet.pools.${name}`;
  const raw = object(value, where);
  const epoch = integer(raw['epoch'], `${where}.epoch`, 1);
  const list = array(raw['epochs'], `${where}.epochs`, LIMITS.epochsPerPool).map((each) =>
    readEpoch(each, `${where}.epochs`),
  );
  const isAscending = list.every((each, i) => i === 0 || each.epoch > (list[i - 1]?.epoch ?? 0));
  if (!isAscending || list.at(-1)?.epoch !== epoch) {
    throw new ManifestError(
      'fleet-malformed',
      `${where}: the epochs ascend, and the last is the current one`,
    );
  }
  return { name, epoch, epochs: new Map(list.map((each) => [each.epoch, each])) };
}

function readEpoch(value: Json, where: string): PoolEpoch {
  const raw = object(value, where);
  const epoch = integer(raw['epoch'], `${where}.epoch`, 1);
  return {
    ...recipientOf(readRecipientKey(raw['key'], `${where}.key`), epoch),
    custodians: array(raw['custodians'], `${where}.custodians`, LIMITS.custodians).map((key) =>
      readWrappedKey(key, `${where}.custodians`),
    ),
  };
}

function readRemoval(value: Json): Removal {
  const raw = object(value, 'fleet.removals');
  return {
    host: parseHostName(string(raw['host'], 'fleet.removals.host')),
    kid: string(raw['kid'], 'fleet.removals.kid'),
    at: instant(raw['at'], 'fleet.removals.at'),
  };
}
