// The hosts of the realm as `fleet-hosts` and `fleet` say now: found by the key that they sign with, or known to be removed.
// Read again only when one of the two roles has moved, since it is asked for each request of each host.
import { ManifestError } from '../manifest/errors.ts';
import type { RealmId } from '../manifest/names.ts';
import { isRemoved, readFleet } from '../manifest/realm/fleet.ts';
import { readHosts } from '../manifest/realm/hosts.ts';
import type { HostRecord } from '../manifest/realm/hosts.ts';
import { FLEET, FLEET_HOSTS } from '../manifest/realm/realm.ts';
import type { Repository } from './repository.ts';

export interface Members {
  readonly realm: RealmId;
  /** By the thumbprint of the signing key; without those that were removed. */
  readonly byKid: ReadonlyMap<string, HostRecord>;
  /** The record of the host that signs with this key. @throws ManifestError host-removed */
  find(kid: string): HostRecord | undefined;
}

export class MemberList {
  readonly #repository: Repository;
  #known: { readonly at: string; readonly members: Promise<Members> } | undefined;

  constructor(repository: Repository) {
    this.#repository = repository;
  }

  /** @throws ServiceError realm-missing, store-* */
  async read(): Promise<Members> {
    const at = (await this.#repository.versions(FLEET, FLEET_HOSTS)).join('/');
    if (this.#known?.at !== at) {
      const members = this.#load();
      this.#known = { at, members };
      // A store that failed once is asked again.
      members.catch(() => (this.#known = undefined));
    }
    return this.#known.members;
  }

  async #load(): Promise<Members> {
    const repository = this.#repository;
    const [realm, fleetRole, hostsRole] = await Promise.all([
      repository.realm(),
      repository.role(FLEET),
      repository.role(FLEET_HOSTS),
    ]);
    const fleet = fleetRole && readFleet(fleetRole);
    const hosts = hostsRole ? [...readHosts(hostsRole.role).values()] : [];
    const active = hosts.filter(({ name, kid }) => fleet && !isRemoved(fleet, name, kid));
    const byKid = new Map(active.map((host) => [host.kid, host]));
    const removed = new Set(fleet?.removals.map(({ kid }) => kid));
    const find = (kid: string): HostRecord | undefined => {
      const host = byKid.get(kid);
      if (host || !removed.has(kid)) return host;
      throw new ManifestError('host-removed', 'this host was removed from the realm');
    };
    return { realm, byKid, find };
  }
}
