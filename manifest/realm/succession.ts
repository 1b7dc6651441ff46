// What one version of a namespace may never do to the version before it, whoever signed: let a secret vanish, let
// a number go back, let a floor sink, or put other bytes behind a version that was published. The service refuses
// such a publish; a host that meets one denies.
import { ManifestError } from '../errors.ts';
import type { SecretName } from '../names.ts';
import { covers } from './revocation.ts';
import type { LiveVersion, Secret } from './secret.ts';

type Secrets = ReadonlyMap<SecretName, Secret>;

/** @throws ManifestError secret-vanished, version-rollback, floor-sank, version-reused */
export function checkSuccession(old: Secrets, next: Secrets): void {
  for (const [name, before] of old) {
    const after = next.get(name);
    const id = `${before.namespace}/${name}`;
    if (!after) throw new ManifestError('secret-vanished', `${id} is no longer listed`);
    if (after.newestVersion < before.newestVersion) {
      throw new ManifestError('version-rollback', `${id} goes back from ${before.newestVersion}`);
    }
    if (!covers(after, before))
      throw new ManifestError('floor-sank', `${id}: what was revoked must stay revoked`);
    const published = new Map(liveVersions(before).map((live) => [live.version, live.sha256]));
    for (const { version, sha256 } of liveVersions(after)) {
      const known = published.get(version);
      if ((known ?? sha256) !== sha256 || (known === undefined && version <= before.newestVersion)) {
        throw new ManifestError(
          'version-reused',
          `${id}@${version} was published with other bytes or withdrawn`,
        );
      }
    }
  }
}

/** Every version that can still be read, newest first. */
export function liveVersions(secret: Secret): readonly LiveVersion[] {
  return [...(secret.newest ? [secret.newest] : []), ...secret.superseded];
}
