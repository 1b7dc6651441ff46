// What this host may serve of a verified realm. As a member of its pools: the namespaces whose policies name one of these,
// and of each what its policy allows. As a stranger, or once removed: nothing. Pure; what exceeds a policy is left out and
// told.
import type { RealmState, Secrets, Wants } from '../client/reading.ts';
import { ManifestError } from '../manifest/errors.ts';
import type { LapseError } from '../manifest/errors.ts';
import type { HostName, Namespace, PoolName, SecretName } from '../manifest/names.ts';
import { isRemoved } from '../manifest/realm/fleet.ts';
import type { Fleet } from '../manifest/realm/fleet.ts';
import type { HostRecord } from '../manifest/realm/hosts.ts';
import { leaseMs } from '../manifest/realm/lease.ts';
import type { Policy } from '../manifest/realm/policy.ts';
import { FLEET } from '../manifest/realm/realm.ts';
import type { LiveVersion, Secret } from '../manifest/realm/secret.ts';
import { liveVersions } from '../manifest/realm/succession.ts';
import { DaemonError } from './errors.ts';

/** How this host is known to the fleet: by its name and the thumbprint of its signing key. */
export interface Self {
  readonly name: HostName;
  readonly kid: string;
}

export interface Entitlement {
  /** This host's record; absent when it is no member. */
  readonly record?: HostRecord;
  /** Why it is none. */
  readonly refusal?: LapseError;
  readonly secrets: ReadonlyMap<Namespace, Secrets>;
  /** The pools whose keys may open what a namespace puts. */
  readonly pools: ReadonlyMap<Namespace, readonly PoolName[]>;
  /** Namespaces that do not verify, and so stay as they were; the lease denies them in time. */
  readonly failing: ReadonlySet<Namespace>;
  /** Namespaces that are denied at once. */
  readonly denied: ReadonlySet<Namespace>;
  /** What exceeds a policy. */
  readonly exceeding: readonly LapseError[];
  /** Why a namespace's newest version of something is not served, for that reason. */
  readonly ignored: ReadonlyMap<Namespace, LapseError>;
}

/** Which namespaces concern a host: those of its pools. */
export function wantsOf({ name, kid }: Self): Wants {
  return (_namespace, policy, hosts) => {
    const record = hosts.get(name);
    return record?.kid === kid && record.pools.some((pool) => policy.pools.includes(pool));
  };
}

export function entitlementOf(state: RealmState, self: Self): Entitlement {
  const { fleet, policies, hosts, failures, denied } = state;
  const record = hosts.get(self.name);
  const refusal = refusalOf(state, self);
  if (refusal || !record || !fleet) return { ...NOTHING, denied, ...(refusal ? { refusal } : {}) };
  const wants = wantsOf(self);
  const secrets = new Map<Namespace, Secrets>();
  const exceeding: LapseError[] = [];
  const ignored = new Map<Namespace, LapseError>();
  const poolOf = poolsByKid(fleet);
  for (const [namespace, all] of state.secrets) {
    const policy = policies.get(namespace)?.policy;
    if (!policy) continue;
    const allowed = new Map<SecretName, Secret>();
    for (const [name, secret] of all) {
      const found = within(secret, policy, poolOf);
      allowed.set(name, found.secret);
      exceeding.push(...found.exceeding);
      if (found.ignored) ignored.set(namespace, found.ignored);
    }
    secrets.set(namespace, allowed);
  }
  const wanted = [...policies].filter(([namespace, { policy }]) => wants(namespace, policy, hosts));
  return {
    record,
    secrets,
    pools: new Map(
      wanted.map(([namespace, { policy }]) => [
        namespace,
        record.pools.filter((pool) => policy.pools.includes(pool)),
      ]),
    ),
    failing: new Set(wanted.map(([namespace]) => namespace).filter((namespace) => failures.has(namespace))),
    denied,
    exceeding,
    ignored,
  };
}

const NOTHING: Omit<Entitlement, 'denied'> = {
  secrets: new Map(),
  pools: new Map(),
  failing: new Set(),
  exceeding: [],
  ignored: new Map(),
};

/**
 * How long the lease of each namespace is that a confirmed state renews, in milliseconds: of those that verify, with
 * everything above them. None when the fleet does not.
 */
export function leaseLengths(
  state: RealmState,
  { secrets, record }: Entitlement,
): ReadonlyMap<Namespace, number> {
  const { timestamp } = state.set;
  if (!record || !timestamp || state.failures.has(FLEET)) return new Map();
  const realm = leaseMs(timestamp);
  return new Map(
    [...secrets.keys()].map((namespace) => {
      const most = state.policies.get(namespace)?.policy.leaseSeconds;
      return [namespace, most === undefined ? realm : Math.min(realm, most * 1000)];
    }),
  );
}

/**
 * The same without news of one namespace: it stays as it was, like one that does not verify, and no lease of it is renewed.
 * What denies it still does.
 */
export function cutOff(entitlement: Entitlement, namespace: Namespace): Entitlement {
  const secrets = new Map(entitlement.secrets);
  if (!secrets.delete(namespace)) return entitlement;
  return { ...entitlement, secrets, failing: new Set([...entitlement.failing, namespace]) };
}

function refusalOf({ fleet, hosts }: RealmState, { name, kid }: Self): LapseError | undefined {
  if (fleet && isRemoved(fleet, name, kid)) {
    return new ManifestError(
      'host-removed',
      `this host, ${name}, was removed from the fleet; it serves nothing`,
    );
  }
  const record = hosts.get(name);
  if (!record) {
    return new DaemonError(
      'host-unlisted',
      `the fleet lists no host ${name}: it is not approved yet, or no longer`,
    );
  }
  if (record.kid !== kid) {
    return new DaemonError('host-unlisted', `the fleet lists ${name} with other keys than this host's`);
  }
  return undefined;
}

interface Within {
  readonly secret: Secret;
  readonly exceeding: readonly LapseError[];
  /** About the newest version. */
  readonly ignored?: LapseError;
}

function within(secret: Secret, policy: Policy, poolOf: PoolOf): Within {
  const { newest, superseded, whenStale, ...rest } = secret;
  const id = `${secret.namespace}/${secret.name}`;
  const foreign = new Map<LiveVersion, LapseError>(
    liveVersions(secret)
      .filter((version) => isForOthers(version, policy, poolOf))
      .map((version) => [
        version,
        exceeded(`${id}@${version.version} is encrypted to no pool that the policy allows; it is ignored`),
      ]),
  );
  const isTooLong = whenStale === 'serve' && policy.whenStale === 'deny';
  if (foreign.size === 0 && !isTooLong) return { secret, exceeding: [] };
  const wish = exceeded(`${id} asks to be served when stale; the policy does not allow it, so it is denied`);
  const ignored = newest && foreign.get(newest);
  return {
    secret: {
      ...rest,
      whenStale: isTooLong ? 'deny' : whenStale,
      ...(newest && !ignored ? { newest } : {}),
      superseded: superseded.filter((version) => !foreign.has(version)),
    },
    exceeding: [...foreign.values(), ...(isTooLong ? [wish] : [])],
    ...(ignored ? { ignored } : {}),
  };
}

function exceeded(message: string): ManifestError {
  return new ManifestError('policy-exceeded', message);
}

/** The pool whose key has that thumbprint, in any epoch. */
type PoolOf = ReadonlyMap<string, PoolName>;

function poolsByKid(fleet: Fleet): PoolOf {
  return new Map(
    [...fleet.pools.values()].flatMap(({ name, epochs }) =>
      [...epochs.values()].map(({ kid }) => [kid, name] as const),
    ),
  );
}

/** Whether pools that the policy does not allow can open a version, and none that it allows. */
function isForOthers({ keys }: LiveVersion, policy: Policy, poolOf: PoolOf): boolean {
  const pools = keys.flatMap(({ kid }) => poolOf.get(kid) ?? []);
  return pools.length > 0 && !pools.some((pool) => policy.pools.includes(pool));
}
