// What the service asks of the next version of a role beyond a client's own checks: that it follows the one before it, takes
// nothing back that was promised, and fits the roles beside it. Pure: one function for each kind of role; `review.ts`
// gives them what they compare. `fleet` and `fleet-hosts` are in `fleet-publication.ts`.
import { ManifestError } from '../manifest/errors.ts';
import type { Namespace } from '../manifest/names.ts';
import { currentEpoch } from '../manifest/realm/fleet.ts';
import type { Fleet } from '../manifest/realm/fleet.ts';
import type { Policy } from '../manifest/realm/policy.ts';
import { readRealm } from '../manifest/realm/realm.ts';
import { isRevoked } from '../manifest/realm/revocation.ts';
import { checkWithdrawalSuccession, readWithdrawals } from '../manifest/realm/revoker.ts';
import type { Withdrawals } from '../manifest/realm/revoker.ts';
import { readSecrets } from '../manifest/realm/secret.ts';
import type { LiveVersion, Secret } from '../manifest/realm/secret.ts';
import { checkSuccession, liveVersions } from '../manifest/realm/succession.ts';
import type { Verified } from '../manifest/tuf/metadata.ts';
import type { Targets } from '../manifest/tuf/targets.ts';
import { ServiceError } from './errors.ts';
import { newlyListed } from './uploads.ts';
import type { Listing } from './uploads.ts';

/** A role before and after. */
export interface Step {
  readonly old: Verified<Targets> | undefined;
  readonly next: Verified<Targets>;
}

/** @throws ServiceError conflict; ManifestError version-mismatch */
export function checkVersionFollows(name: string, version: number, stored: number): void {
  if (version <= stored) {
    throw new ServiceError('conflict', `${name} is at version ${stored} already; publish ${stored + 1}`);
  }
  if (version > stored + 1) {
    throw new ManifestError('version-mismatch', `${name} ${version} cannot follow ${name} ${stored}`);
  }
}

/** The top-level targets: delegates to fleet and namespaces, loses none, and lists no file itself. */
export function reviewTargets({ old, next }: Step): void {
  readRealm(next);
  if (next.role.targets.size > 0) {
    throw new ManifestError('path-outside-role', 'targets lists no files: each belongs to a namespace');
  }
  for (const name of old?.role.delegations.keys() ?? []) {
    if (!next.role.delegations.has(name)) {
      throw new ManifestError('role-vanished', `targets no longer delegates to ${name}`);
    }
  }
}

/** What stands beside a namespace. */
export interface Surroundings {
  readonly policy: Policy;
  readonly fleet: Fleet;
  readonly withdrawals: Withdrawals;
}

/** A namespace: succeeds the stored one, stays below its revoker's floor, and is encrypted to whom it may be now. */
export function reviewNamespace(namespace: Namespace, { old, next }: Step, beside: Surroundings): Listing {
  const secrets = readSecrets(next.role, namespace);
  const former = old ? readSecrets(old.role, namespace) : new Map<never, Secret>();
  checkSuccession(former, secrets);
  const [before, after] = [allLive(former.values()), allLive(secrets.values())];
  for (const secret of secrets.values()) checkFloor(secret, beside.withdrawals);
  for (const live of newlyListed(before, after)) checkRecipients(live, beside);
  return { before, after };
}

function checkFloor(secret: Secret, withdrawals: Withdrawals): void {
  const floor = withdrawals.get(secret.name);
  const dead = floor && liveVersions(secret).find(({ version }) => isRevoked(floor, version));
  if (dead) {
    throw new ServiceError(
      'floor-behind',
      `${dead.path} was taken back by the revoker; drop it and sign again`,
    );
  }
}

/** Each allowed pool's current epoch can read it, and no other epoch of any pool. */
function checkRecipients({ path, keys }: LiveVersion, { policy, fleet }: Surroundings): void {
  const current = policy.pools.map((pool) => currentEpoch(fleet, pool));
  const missing = current.find(
    ({ kid, epoch }) => !keys.some((key) => key.kid === kid && key.epoch === epoch),
  );
  const others = keys.filter(({ kid, epoch }) => epoch > 0 && !current.some((pool) => pool.kid === kid));
  if (!missing && others.length === 0) return;
  throw new ServiceError(
    'epoch-superseded',
    `${path} is not encrypted to the current epoch of each pool of its namespace, and to no other pool; encrypt again`,
  );
}

/** A revoker: takes back ever more, and nothing that was never published. */
export function reviewRevoker({ old, next }: Step, secrets: ReadonlyMap<string, Secret>): void {
  const withdrawals = readWithdrawals(next);
  checkWithdrawalSuccession(old ? readWithdrawals(old) : new Map(), withdrawals);
  for (const [name, { revokedThrough, revoked, grants }] of withdrawals) {
    const newest = secrets.get(name)?.newestVersion ?? 0;
    const highest = Math.max(revokedThrough, ...revoked, ...grants.values());
    if (highest > newest) {
      throw new ServiceError(
        'floor-ahead',
        `${name} is at version ${newest}: ${highest} cannot be taken back`,
      );
    }
  }
}

function allLive(secrets: Iterable<Secret>): readonly LiveVersion[] {
  return [...secrets].flatMap(liveVersions);
}
