// The top of the realm as of one commit, read back from the store and verified again: root, timestamp, snapshot and
// targets. Expiry does not matter here, for a realm whose files ran out must still be there to be renewed. The other
// roles are read when one is needed, so that memory does not grow with their number.
import { ManifestError } from '../manifest/errors.ts';
import type { RealmId } from '../manifest/names.ts';
import { realmId } from '../manifest/realm/realm.ts';
import { checkFile, sha256 } from '../manifest/tuf/metadata.ts';
import type { Verified } from '../manifest/tuf/metadata.ts';
import { parseTargets } from '../manifest/tuf/targets.ts';
import type { Targets } from '../manifest/tuf/targets.ts';
import {
  trustRoot,
  updateRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../manifest/tuf/trusted-set.ts';
import { ServiceError } from './errors.ts';
import { FIRST_ROOT_KEY, roleKey } from './keys.ts';
import type { Store, Stored } from './store/store.ts';

/** A trusted set that has a timestamp and a snapshot. */
export type CompleteSet = Required<TrustedSet>;

export interface Current {
  /** The commit that wrote `set.timestamp`. */
  readonly revision: number;
  readonly realm: RealmId;
  readonly set: CompleteSet;
}

export function complete({ root, timestamp, snapshot, targets }: TrustedSet): CompleteSet {
  if (!timestamp || !snapshot)
    throw new ManifestError('metadata-missing', 'a timestamp and a snapshot are needed');
  return { root, timestamp, snapshot, targets };
}

/** @throws ServiceError store-corrupt */
export async function readCurrent(store: Store, timestamp: Stored): Promise<Current> {
  return ourOwn(async () => {
    const first = trustRoot(await read(store, FIRST_ROOT_KEY));
    const dated = updateTimestamp(await newestRoot(store, first), timestamp.value);
    const { version = 0 } = dated.timestamp?.role.snapshot ?? {};
    const listed = complete(updateSnapshot(dated, await read(store, roleKey('snapshot', version))));
    const targets = await read(store, roleKey('targets', storedVersion(listed, 'targets')));
    return {
      revision: timestamp.revision,
      realm: realmId(first.root),
      set: complete(updateTargets(listed, 'targets', targets)),
    };
  });
}

async function newestRoot(store: Store, first: TrustedSet): Promise<TrustedSet> {
  for (let set = first; ;) {
    const next = await store.get(roleKey('root', set.root.role.version + 1));
    if (!next) return set;
    set = updateRoot(set, next.value);
  }
}

/**
 * A role as it was accepted; absent before its first publish. Its signatures are not asked again: when its delegator has
 * given it other keys since, what was published before must still bind its successor.
 * @throws ServiceError store-corrupt
 */
export async function readRole(
  store: Store,
  { set }: Current,
  name: string,
): Promise<Verified<Targets> | undefined> {
  if (name === 'targets') return set.targets.get(name);
  const meta = set.snapshot.role.roles.get(name);
  if (!meta) return undefined;
  return ourOwn(async () => {
    const bytes = await read(store, roleKey(name, meta.version));
    checkFile(bytes, meta, name);
    const { file, role } = parseTargets(bytes);
    return { bytes, sha256: sha256(bytes), raw: file.raw, role };
  });
}

/** The version of a targets role that the snapshot lists; 0 for none. */
export function storedVersion({ snapshot }: CompleteSet, name: string): number {
  return snapshot.role.roles.get(name)?.version ?? 0;
}

async function read(store: Store, key: string): Promise<Uint8Array> {
  const stored = await store.get(key);
  if (!stored) throw new ManifestError('metadata-missing', `${key} is not in the store`);
  return stored.value;
}

/** What is wrong with files of our own is never the caller's fault. */
async function ourOwn<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    throw new ServiceError('store-corrupt', 'the store holds a realm that does not verify', { cause: error });
  }
}
