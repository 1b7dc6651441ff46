// Reads a verified set as a realm: policies, fleet, hosts, and each namespace's secrets with what its revoker took back.
// TUF has said that a file is signed and newest; here each is held against what came before it, which nobody may undo. A
// role that breaks with its past fails alone, and so does what depends on it. The memory of that past outlives a restart.
import { ManifestError, isLapseError } from '../manifest/errors.ts';
import type { LapseError } from '../manifest/errors.ts';
import type { HostName, Namespace, SecretName } from '../manifest/names.ts';
import { checkFleetSuccession, readFleet } from '../manifest/realm/fleet.ts';
import type { Fleet } from '../manifest/realm/fleet.ts';
import { readHosts } from '../manifest/realm/hosts.ts';
import type { HostRecord } from '../manifest/realm/hosts.ts';
import type { Policy } from '../manifest/realm/policy.ts';
import { FLEET, FLEET_HOSTS, readRealm, revokerOf } from '../manifest/realm/realm.ts';
import type { NamespaceDelegation } from '../manifest/realm/realm.ts';
import { isRevoked } from '../manifest/realm/revocation.ts';
import {
  NOTHING_WITHDRAWN,
  checkWithdrawalSuccession,
  joinWithdrawals,
  readWithdrawals,
  withdrawnFrom,
} from '../manifest/realm/revoker.ts';
import type { Withdrawal, Withdrawals } from '../manifest/realm/revoker.ts';
import { readSecrets } from '../manifest/realm/secret.ts';
import type { Secret } from '../manifest/realm/secret.ts';
import { checkSuccession, liveVersions } from '../manifest/realm/succession.ts';
import type { Verified } from '../manifest/tuf/metadata.ts';
import { parseTargets } from '../manifest/tuf/targets.ts';
import type { Targets } from '../manifest/tuf/targets.ts';
import { currentRole } from '../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../manifest/tuf/trusted-set.ts';

export type Secrets = ReadonlyMap<SecretName, Secret>;

export interface RealmState {
  readonly set: TrustedSet;
  /** Every namespace that `targets` delegates to, whether this client follows it or not. */
  readonly policies: ReadonlyMap<Namespace, NamespaceDelegation>;
  /** Of the namespaces that this client follows and that verify; what was taken back is gone from it. */
  readonly secrets: ReadonlyMap<Namespace, Secrets>;
  /** Absent as long as none has verified. */
  readonly fleet?: Fleet;
  readonly hosts: ReadonlyMap<HostName, HostRecord>;
  /** By role, why it does not verify: a namespace (its revoker's faults too), `fleet`, `fleet-hosts`. */
  readonly failures: ReadonlyMap<string, LapseError>;
  /** The failing namespaces that must be denied at once, not only when the lease ends. */
  readonly denied: ReadonlySet<Namespace>;
  /** What an honest realm would not do; for people. */
  readonly alarms: readonly LapseError[];
}

/** What must not be forgotten by a restart, besides the verified set. */
export interface Memory {
  /** By `namespace/name`: what was once taken back stays so. */
  readonly floors: ReadonlyMap<string, Withdrawal>;
  /** Each namespace that was ever delegated, and whether it had a revoker. */
  readonly delegated: ReadonlyMap<Namespace, boolean>;
  /** By role: the file that last was good, of a role that fails now; the set does not hold it. */
  readonly predecessors: ReadonlyMap<string, Uint8Array>;
}

export const NO_MEMORY: Memory = { floors: new Map(), delegated: new Map(), predecessors: new Map() };

export const NOTHING_READ: Omit<RealmState, 'set'> = {
  policies: new Map(),
  secrets: new Map(),
  hosts: new Map(),
  failures: new Map(),
  denied: new Set(),
  alarms: [],
};

type Hosts = RealmState['hosts'];

/** Which namespaces a client follows, given the hosts as last read. */
export type Wants = (namespace: Namespace, policy: Policy, hosts: Hosts) => boolean;

/** A role's file as it was last good, and what it says. */
interface Good<Content> {
  readonly sha256: string;
  readonly bytes: Uint8Array;
  readonly content: Content;
}

export class Reading {
  readonly #wants: Wants;
  readonly #floors: Map<string, Withdrawal>;
  readonly #delegated: Map<Namespace, boolean>;
  readonly #good = {
    secrets: new Map<string, Good<Secrets>>(),
    withdrawals: new Map<string, Good<Withdrawals>>(),
    fleet: new Map<string, Good<Fleet>>(),
    hosts: new Map<string, Good<Hosts>>(),
  };
  /** Effective secrets by namespace, as long as the same two files lead to them. */
  readonly #effective = new Map<Namespace, { readonly key: string; readonly secrets: Secrets }>();
  /** By namespace: it listed as live what its revoker had taken back before. */
  readonly #behind = new Map<Namespace, LapseError>();

  constructor(wants: Wants, { floors, delegated, predecessors }: Memory) {
    this.#wants = wants;
    this.#floors = new Map(floors);
    this.#delegated = new Map(delegated);
    for (const [name, bytes] of predecessors) this.#recall(name, bytes);
  }

  /** The namespaces to fetch, once fleet-hosts is there. @throws ManifestError when `targets` is no realm's */
  followed(set: TrustedSet): readonly Namespace[] {
    const targets = currentRole(set, 'targets');
    const hosts = this.#hostsOrLast(set);
    const policies = targets ? [...readRealm(targets)] : [];
    return policies
      .filter(([namespace, { policy }]) => this.#wants(namespace, policy, hosts))
      .map(([namespace]) => namespace);
  }

  /** What to keep for the next start; `state` is what was read last. */
  memory({ failures }: RealmState): Memory {
    const predecessors = new Map<string, Uint8Array>();
    for (const name of this.failing(failures)) {
      const good = Object.values(this.#good).flatMap((kind) => kind.get(name) ?? []);
      for (const { bytes } of good) predecessors.set(name, bytes);
    }
    return { floors: this.#floors, delegated: this.#delegated, predecessors };
  }

  /** The roles that stand behind failures: a namespace's two roles fail as one. */
  failing(failures: RealmState['failures']): readonly string[] {
    return [...failures.keys()].flatMap((name) => [name, revokerOf(name as Namespace)]);
  }

  /** `unverified` are the roles that TUF refused. @throws ManifestError when `targets` is no realm's */
  read(set: TrustedSet, unverified: ReadonlyMap<string, LapseError>): RealmState {
    const failures = new Map(unverified);
    const alarms: LapseError[] = [];
    const denied = new Set<Namespace>();
    const targets = currentRole(set, 'targets');
    const policies = targets ? readRealm(targets) : new Map<Namespace, NamespaceDelegation>();
    if (targets) this.#noteDelegations(policies, failures, denied, alarms);
    const attempt = <T>(name: string, work: () => T): T | undefined => {
      try {
        return failures.has(name) ? undefined : work();
      } catch (error) {
        if (!isLapseError(error)) throw error;
        failures.set(name, error);
        return undefined;
      }
    };
    const fleet = attempt(FLEET, () => this.#fleet(set)) ?? this.#good.fleet.get(FLEET)?.content;
    attempt(FLEET_HOSTS, () => this.#hosts(set));
    const hosts = this.#hostsOrLast(set);
    const secrets = new Map<Namespace, Secrets>();
    for (const [namespace, { policy, hasRevoker }] of policies) {
      if (!this.#wants(namespace, policy, hosts)) continue;
      const read = attempt(namespace, () => this.#namespace(set, namespace, hasRevoker));
      if (read) secrets.set(namespace, read);
      alarms.push(...(this.#behind.has(namespace) ? [this.#behind.get(namespace) as LapseError] : []));
    }
    return {
      set,
      policies,
      secrets,
      ...(fleet ? { fleet } : {}),
      hosts,
      failures,
      denied,
      alarms,
    };
  }

  /** Absence where there was presence denies, at once, and is an alarm. */
  #noteDelegations(
    policies: RealmState['policies'],
    failures: Map<string, LapseError>,
    denied: Set<Namespace>,
    alarms: LapseError[],
  ): void {
    for (const [namespace, hadRevoker] of this.#delegated) {
      const now = policies.get(namespace);
      if (now && (now.hasRevoker || !hadRevoker)) continue;
      const gone = now ? revokerOf(namespace) : namespace;
      const error = new ManifestError('role-vanished', `targets no longer delegates to ${gone}`);
      failures.set(namespace, error);
      denied.add(namespace);
      alarms.push(error);
    }
    for (const [namespace, { hasRevoker }] of policies) {
      this.#delegated.set(namespace, hasRevoker || this.#delegated.get(namespace) === true);
    }
  }

  #fleet(set: TrustedSet): Fleet | undefined {
    const role = currentRole(set, FLEET);
    if (!role) throw new ManifestError('fleet-malformed', 'the realm has published no fleet');
    return keep(this.#good.fleet, FLEET, role, readFleet, checkFleetSuccession);
  }

  #hosts(set: TrustedSet): Hosts | undefined {
    const role = currentRole(set, FLEET_HOSTS);
    return role && keep(this.#good.hosts, FLEET_HOSTS, role, (each) => readHosts(each.role));
  }

  #hostsOrLast(set: TrustedSet): Hosts {
    try {
      this.#hosts(set);
    } catch (error) {
      // `read` reports it.
      if (!isLapseError(error)) throw error;
    }
    return this.#good.hosts.get(FLEET_HOSTS)?.content ?? NOTHING_READ.hosts;
  }

  #namespace(set: TrustedSet, namespace: Namespace, hasRevoker: boolean): Secrets {
    const role = currentRole(set, namespace);
    const revoker = hasRevoker ? currentRole(set, revokerOf(namespace)) : undefined;
    const key = `${role?.sha256 ?? ''} ${revoker?.sha256 ?? ''}`;
    const known = this.#effective.get(namespace);
    if (known?.key === key) return known.secrets;
    const before = this.#good.withdrawals.get(revokerOf(namespace))?.content;
    const isNew = role?.sha256 !== this.#good.secrets.get(namespace)?.sha256;
    const signed = role ? this.#secrets(namespace, role) : new Map<SecretName, Secret>();
    if (isNew) this.#noteBehind(namespace, signed, before);
    const withdrawals = revoker ? this.#withdrawals(namespace, revoker) : before;
    const secrets = new Map<SecretName, Secret>();
    for (const [name, secret] of signed) {
      const floor = this.#raise(secret, withdrawals?.get(name));
      secrets.set(name, withdrawnFrom(secret, floor));
    }
    this.#effective.set(namespace, { key, secrets });
    return secrets;
  }

  #secrets(namespace: Namespace, role: Verified<Targets>): Secrets {
    const read = (each: Verified<Targets>): Secrets => readSecrets(each.role, namespace);
    return keep(this.#good.secrets, namespace, role, read, checkSuccession);
  }

  #withdrawals(namespace: Namespace, role: Verified<Targets>): Withdrawals {
    const name = revokerOf(namespace);
    return keep(this.#good.withdrawals, name, role, readWithdrawals, checkWithdrawalSuccession);
  }

  /** The most that anybody ever took back of a secret, remembered. */
  #raise(secret: Secret, withdrawal: Withdrawal = NOTHING_WITHDRAWN): Withdrawal {
    const id = `${secret.namespace}/${secret.name}`;
    const own = { revokedThrough: secret.revokedThrough, revoked: secret.revoked, grants: new Map() };
    const joined = joinWithdrawals(
      joinWithdrawals(own, withdrawal),
      this.#floors.get(id) ?? NOTHING_WITHDRAWN,
    );
    const isAny = joined.revokedThrough > 0 || joined.revoked.length > 0 || joined.grants.size > 0;
    if (isAny) this.#floors.set(id, joined);
    return joined;
  }

  /** A new version that lists as live what the revoker had taken back already: the maximum holds, and it is an alarm. */
  #noteBehind(namespace: Namespace, secrets: Secrets, before: Withdrawals | undefined): void {
    this.#behind.delete(namespace);
    for (const [name, secret] of secrets) {
      const floor = before?.get(name);
      if (!floor || !liveVersions(secret).some(({ version }) => isRevoked(floor, version))) continue;
      const message = `${namespace}/${name}: the namespace lists as live what its revoker has taken back`;
      this.#behind.set(namespace, new ManifestError('floor-behind', message));
    }
  }

  /** What was good before a restart, of a role that failed then; it was verified when it was saved. */
  #recall(name: string, bytes: Uint8Array): void {
    const { file, role } = parseTargets(bytes);
    const verified = { bytes, sha256: '', raw: file.raw, role };
    const good = <Content>(content: Content): Good<Content> => ({ sha256: '', bytes, content });
    if (name === FLEET) this.#good.fleet.set(name, good(readFleet(verified)));
    else if (name === FLEET_HOSTS) this.#good.hosts.set(name, good(readHosts(role)));
    else if (name.endsWith('-revoker')) this.#good.withdrawals.set(name, good(readWithdrawals(verified)));
    else this.#good.secrets.set(name, good(readSecrets(role, name as Namespace)));
  }
}

/** Reads a role, unless it is the one that was good last; a new one must be a successor, and is then the good one. */
function keep<Content>(
  good: Map<string, Good<Content>>,
  name: string,
  role: Verified<Targets>,
  read: (role: Verified<Targets>) => Content,
  check?: (old: Content, next: Content) => void,
): Content {
  const before = good.get(name);
  if (before?.sha256 === role.sha256) return before.content;
  const content = read(role);
  if (before) check?.(before.content, content);
  good.set(name, { sha256: role.sha256, bytes: role.bytes, content });
  return content;
}
