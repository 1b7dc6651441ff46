// Changes of the fleet: pools get epochs, hosts come and go, keyrings are written anew. A change is built up here against one
// verified state and becomes the edit of `fleet`, `fleet-hosts`, or both in one publish. Keyrings hold a pool's current epoch,
// and older ones as long as a living version needs them.
import type { JsonObject } from '../../manifest/json.ts';
import type { HostName, PoolName } from '../../manifest/names.ts';
import {
  currentEpoch,
  isRemoved,
  withEpoch,
  withRemoval,
  withoutEpochs,
} from '../../manifest/realm/fleet.ts';
import type { Fleet, Pool, PoolEpoch } from '../../manifest/realm/fleet.ts';
import { encodeKeyring, withHost, withoutHost } from '../../manifest/realm/hosts.ts';
import type { HostKeys, HostRecord, KeyringEntry } from '../../manifest/realm/hosts.ts';
import { wrapPoolKey } from '../../manifest/realm/pool-key.ts';
import { FLEET, FLEET_HOSTS } from '../../manifest/realm/realm.ts';
import { importRecipient, recipientOf } from '../../manifest/realm/recipient.ts';
import { liveVersions } from '../../manifest/realm/succession.ts';
import { currentRole } from '../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../errors.ts';
import type { RealmState } from '../reading.ts';
import type { PoolKeys } from './pool-keys.ts';
import { targetsOf } from './session.ts';
import type { Edit, RoleEdit, Session } from './session.ts';

export class FleetChange {
  readonly #session: Session;
  readonly #keys: PoolKeys;
  readonly #state: RealmState;
  readonly #fleet: Fleet;
  /** As it will be. */
  readonly #pools: Map<PoolName, Pool>;
  /** Thumbprints of epochs that a living version, or one that cannot be seen, may need. */
  readonly #needed: ReadonlySet<string> | 'all';
  /** The changed members of `fleet`. */
  #members: JsonObject = {};
  #targets: JsonObject;
  readonly #keyrings: Uint8Array[] = [];

  constructor(session: Session, keys: PoolKeys) {
    this.#session = session;
    this.#keys = keys;
    this.#state = session.state;
    this.#fleet = session.fleet;
    this.#pools = new Map(this.#fleet.pools);
    this.#needed = session.state.failures.size > 0 ? 'all' : neededKeys(session.state);
    this.#targets = targetsOf(session.state, FLEET_HOSTS);
  }

  /** A pool's next epoch, or its first; older ones that nobody needs any more are dropped. */
  async addEpoch(name: PoolName): Promise<void> {
    const before = this.#pools.get(name);
    const epoch = await this.#keys.next(name, before, this.#fleet.custodians);
    const epochs = new Map([...(before?.epochs ?? []), [epoch.epoch, epoch] as const]);
    const dropped = new Set(
      [...epochs.values()]
        .filter((old) => old.epoch !== epoch.epoch && !this.#isNeeded(old))
        .map((old) => old.epoch),
    );
    for (const number of dropped) epochs.delete(number);
    this.#pools.set(name, { name, epoch: epoch.epoch, epochs });
    this.#edit((raw) => withEpoch(raw, name, epoch));
    if (dropped.size > 0) this.#edit((raw) => withoutEpochs(raw, name, dropped));
  }

  removeHost({ name, kid }: HostRecord): void {
    if (!isRemoved(this.#fleet, name, kid)) {
      this.#edit((raw) => withRemoval(raw, { host: name, kid, at: this.#session.clock.now() }));
    }
    this.#targets = withoutHost(this.#targets, name);
  }

  /** Writes a host's record and keyring. */
  async writeHost(host: HostKeys & { readonly joined: number }): Promise<void> {
    const entries: KeyringEntry[] = [];
    for (const name of host.pools) {
      const pool = this.#pools.get(name);
      for (const epoch of pool?.epochs.values() ?? []) {
        if (epoch.epoch === pool?.epoch || this.#isNeeded(epoch))
          entries.push(await this.#entry(name, epoch, host));
      }
    }
    const keyring = encodeKeyring(entries);
    this.#targets = withHost(this.#targets, host, keyring);
    this.#keyrings.push(keyring);
  }

  /** Writes the keyring of every member of one of these pools anew. */
  async writeMembers(pools: ReadonlySet<PoolName>, except?: HostName): Promise<number> {
    const members = [...this.#state.hosts.values()].filter(
      (host) =>
        host.name !== except &&
        !isRemoved(this.#fleet, host.name, host.kid) &&
        host.pools.some((pool) => pools.has(pool)),
    );
    for (const member of members) await this.writeHost(member);
    return members.length;
  }

  edit(): Edit {
    const roles: RoleEdit[] = [];
    if (Object.keys(this.#members).length > 0) roles.push({ role: FLEET, change: this.#members });
    if (this.#targets !== targetsOf(this.#state, FLEET_HOSTS)) {
      roles.push({ role: FLEET_HOSTS, change: { targets: this.#targets } });
    }
    return { roles, files: this.#keyrings };
  }

  async #entry(pool: PoolName, epoch: PoolEpoch, { encryption }: HostKeys): Promise<KeyringEntry> {
    const recipient = await importRecipient(recipientOf(encryption));
    const raw = await this.#keys.of(pool, epoch);
    const context = { realm: this.#session.updater.realm, pool, epoch: epoch.epoch };
    return { ...(await wrapPoolKey(raw, recipient, context)), pool, epoch: epoch.epoch };
  }

  #isNeeded({ kid }: PoolEpoch): boolean {
    return this.#needed === 'all' || this.#needed.has(kid);
  }

  #edit(change: (raw: JsonObject) => JsonObject): void {
    const raw = currentRole(this.#state.set, FLEET)?.raw ?? {};
    this.#members = { ...this.#members, ...change({ ...raw, ...this.#members }) };
  }
}

/** The pool keys that a living version is encrypted to. */
function neededKeys(state: RealmState): ReadonlySet<string> {
  const kids = new Set<string>();
  for (const secrets of state.secrets.values()) {
    for (const secret of secrets.values()) {
      for (const { keys } of liveVersions(secret)) for (const { kid } of keys) kids.add(kid);
    }
  }
  return kids;
}

/**
 * Living versions that a former member of a pool can decrypt: they are encrypted to an epoch that is superseded. Without
 * `pools`, of any pool.
 */
export function exposedVersions(state: RealmState, pools?: ReadonlySet<PoolName>): readonly string[] {
  const old = new Set<string>();
  for (const { name, epoch, epochs } of state.fleet?.pools.values() ?? []) {
    if (pools && !pools.has(name)) continue;
    for (const each of epochs.values()) if (each.epoch !== epoch) old.add(each.kid);
  }
  return [...state.secrets.values()]
    .flatMap((secrets) => [...secrets.values()])
    .flatMap((secret) => liveVersions(secret).filter(({ keys }) => keys.some(({ kid }) => old.has(kid))))
    .map(({ path }) => path)
    .sort();
}

/** @throws ClientError pool-unknown */
export function poolOf(fleet: Fleet, name: PoolName): Pool {
  const pool = fleet.pools.get(name);
  if (pool) {
    currentEpoch(fleet, name);
    return pool;
  }
  throw new ClientError('pool-unknown', `the fleet has no pool ${name}; run: lapse pool list`);
}
