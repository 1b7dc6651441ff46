// What the service asks of the next version of `fleet` and `fleet-hosts`: epochs and removals only ever go forward, a host
// leaves only by a removal, and every keyring that is listed is there. Pure, like `publication.ts`.
import { checkFleetSuccession, isRemoved, readFleet } from '../manifest/realm/fleet.ts';
import type { Fleet } from '../manifest/realm/fleet.ts';
import { readHosts } from '../manifest/realm/hosts.ts';
import type { HostRecord } from '../manifest/realm/hosts.ts';
import { FLEET_HOSTS } from '../manifest/realm/realm.ts';
import { ServiceError } from './errors.ts';
import type { Step } from './publication.ts';
import type { Listed, Listing } from './uploads.ts';

/** @throws ManifestError fleet-malformed, epoch-rollback, removal-vanished */
export function reviewFleet({ old, next }: Step): void {
  const fleet = readFleet(next);
  if (old) checkFleetSuccession(readFleet(old), fleet);
}

/** `fleet` as it stands after this publish. @throws ServiceError host-vanished */
export function reviewHosts({ old, next }: Step, fleet: Fleet): Listing {
  const before = old ? readHosts(old.role) : new Map<string, HostRecord>();
  const after = readHosts(next.role);
  for (const { name, kid } of before.values()) {
    if (after.get(name)?.kid !== kid && !isRemoved(fleet, name, kid)) {
      throw new ServiceError('host-vanished', `${name} is missing, or has another key, and was not removed`);
    }
  }
  return { before: [...before.values()].map(listed), after: [...after.values()].map(listed) };
}

function listed({ name, keyring }: HostRecord): Listed {
  return { path: `${FLEET_HOSTS}/${name}`, ...keyring };
}
