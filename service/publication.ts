// What the service asks of a new targets role beyond a client's own checks: that it follows the one before it, takes
// nothing back that was promised, and arrives with exactly the envelopes it newly lists. Pure: the outcome is what
// to store and what to drop.
import { ManifestError } from '../manifest/errors.ts';
import type { Publish } from '../manifest/realm/exchange.ts';
import { namespaces } from '../manifest/realm/realm.ts';
import { readSecrets } from '../manifest/realm/secret.ts';
import type { LiveVersion, Secret } from '../manifest/realm/secret.ts';
import { checkSuccession, liveVersions } from '../manifest/realm/succession.ts';
import { parseNamespace } from '../manifest/names.ts';
import type { SecretName } from '../manifest/names.ts';
import { checkFile, sha256 } from '../manifest/tuf/metadata.ts';
import type { Verified } from '../manifest/tuf/metadata.ts';
import type { Targets } from '../manifest/tuf/targets.ts';
import { ServiceError } from './errors.ts';
import { envelopeKey } from './keys.ts';
import type { Entry } from './store/store.ts';

export interface Envelopes {
  readonly put: readonly Entry[];
  /** Keys of envelopes that nobody lists any more. */
  readonly remove: readonly string[];
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

/** The top-level targets: delegates to namespaces, loses none, and lists no file itself. */
export function reviewTargets(old: Verified<Targets> | undefined, next: Verified<Targets>): void {
  namespaces(next);
  if (next.role.targets.size > 0) {
    throw new ManifestError('path-outside-role', 'targets lists no files: each belongs to a namespace');
  }
  for (const name of old?.role.delegations.keys() ?? []) {
    if (!next.role.delegations.has(name)) {
      throw new ManifestError('role-vanished', `targets no longer delegates to ${name}`);
    }
  }
}

/** A namespace: succeeds the stored one, and each envelope is either there already or in this publish. */
export function reviewNamespace(old: Targets | undefined, next: Targets, publish: Publish): Envelopes {
  const namespace = parseNamespace(publish.role);
  const before = old ? readSecrets(old, namespace) : new Map<SecretName, Secret>();
  const after = readSecrets(next, namespace);
  checkSuccession(before, after);
  const stored = liveByKey(before);
  const listed = liveByKey(after);
  const fresh = [...listed].filter(([key]) => !stored.has(key));
  return {
    put: takeEnvelopes(fresh, publish.envelopes),
    remove: [...stored.keys()].filter((key) => !listed.has(key)),
  };
}

/** An envelope nobody lists is refused: the service stores only what somebody signed for. */
export function refuseEnvelopes(envelopes: readonly Uint8Array[]): void {
  if (envelopes.length > 0) {
    throw new ServiceError('envelope-unlisted', 'an envelope came that no version newly lists');
  }
}

function takeEnvelopes(
  fresh: readonly (readonly [string, LiveVersion])[],
  envelopes: readonly Uint8Array[],
): readonly Entry[] {
  const bySha256 = new Map(envelopes.map((envelope) => [sha256(envelope), envelope]));
  const put = fresh.map(([key, live]) => {
    const value = bySha256.get(live.sha256);
    if (!value) {
      throw new ServiceError('envelope-missing', `${live.path}: no envelope came with the sha256 it lists`);
    }
    checkFile(value, live, live.path);
    return { key, value };
  });
  const wanted = new Set(fresh.map(([, live]) => live.sha256));
  refuseEnvelopes([...bySha256].filter(([hash]) => !wanted.has(hash)).map(([, envelope]) => envelope));
  return put;
}

function liveByKey(secrets: ReadonlyMap<SecretName, Secret>): ReadonlyMap<string, LiveVersion> {
  return new Map([...secrets.values()].flatMap(liveVersions).map((live) => [envelopeKey(live), live]));
}
