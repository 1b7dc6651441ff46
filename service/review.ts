// One publish of several roles, looked at as a whole: each role against what it replaces and against the roles that will
// stand beside it, be they in the same publish or stored before.
import { parseNamespace } from '../manifest/names.ts';
import type { Namespace } from '../manifest/names.ts';
import { readFleet } from '../manifest/realm/fleet.ts';
import { FLEET, FLEET_HOSTS, readRealm, revokerOf } from '../manifest/realm/realm.ts';
import { readWithdrawals } from '../manifest/realm/revoker.ts';
import { readSecrets } from '../manifest/realm/secret.ts';
import type { Secret } from '../manifest/realm/secret.ts';
import { ManifestError } from '../manifest/errors.ts';
import type { Verified } from '../manifest/tuf/metadata.ts';
import type { Targets } from '../manifest/tuf/targets.ts';
import { reviewFleet, reviewHosts } from './fleet-publication.ts';
import { reviewNamespace, reviewRevoker, reviewTargets } from './publication.ts';
import type { Step, Surroundings } from './publication.ts';
import { takeFiles } from './uploads.ts';
import type { Listing, StoredFiles } from './uploads.ts';

type Role = Verified<Targets> | undefined;

/** The realm's roles by name. */
export interface Roles {
  /** As stored. */
  before(name: string): Promise<Role>;
  /** As this publish leaves it. */
  after(name: string): Promise<Role>;
}

/** @throws ServiceError, ManifestError: the first rule that the publish breaks */
export async function reviewPublish(
  names: readonly string[],
  files: readonly Uint8Array[],
  roles: Roles,
): Promise<StoredFiles> {
  const listings: Listing[] = [];
  for (const name of names) {
    const step = { old: await roles.before(name), next: await required(roles, name) };
    const listing = await reviewRole(name, step, roles);
    if (listing) listings.push(listing);
  }
  return takeFiles(listings, files);
}

async function reviewRole(name: string, step: Step, roles: Roles): Promise<Listing | undefined> {
  const namespace = /^(.+)-revoker$/.exec(name)?.[1];
  if (name === 'targets') reviewTargets(step);
  else if (name === FLEET) reviewFleet(step);
  else if (name === FLEET_HOSTS) return reviewHosts(step, readFleet(await required(roles, FLEET)));
  else if (namespace === undefined) return reviewNamespaceRole(parseNamespace(name), step, roles);
  else reviewRevoker(step, await secretsOf(parseNamespace(namespace), roles));
  return undefined;
}

async function reviewNamespaceRole(namespace: Namespace, step: Step, roles: Roles): Promise<Listing> {
  const policy = readRealm(await required(roles, 'targets')).get(namespace)?.policy;
  if (!policy) throw new ManifestError('role-unknown', `targets does not delegate to ${namespace}`);
  const fleet = readFleet(await required(roles, FLEET));
  const revoker = await roles.after(revokerOf(namespace));
  const beside: Surroundings = { policy, fleet, withdrawals: revoker ? readWithdrawals(revoker) : new Map() };
  return reviewNamespace(namespace, step, beside);
}

async function secretsOf(namespace: Namespace, roles: Roles): Promise<ReadonlyMap<string, Secret>> {
  const role = await roles.after(namespace);
  return role ? readSecrets(role.role, namespace) : new Map();
}

async function required(roles: Roles, name: string): Promise<Verified<Targets>> {
  const role = await roles.after(name);
  if (!role) throw new ManifestError('metadata-missing', `a current ${name} is needed first`);
  return role;
}
