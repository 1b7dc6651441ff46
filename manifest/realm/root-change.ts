// The next version of root, unsigned: other people, other online keys, or only a later expiry. Members and keys that nobody
// here knows stay, as long as a role names them. It counts when the threshold of the old root and its own have signed it.
import type { JsonObject } from '../json.ts';
import { formatInstant, object } from '../shape.ts';
import type { Verified } from '../tuf/metadata.ts';
import type { Root, TopLevelRole } from '../tuf/root.ts';
import { keyTable, roleKeysJson } from './realm.ts';
import type { PublicHex } from './realm.ts';

/** What becomes of a role's keys: those with these ids go, these come, and so many of them are needed. */
export interface KeysChange {
  readonly remove: readonly string[];
  readonly add: readonly PublicHex[];
  readonly threshold: number;
}

export type RootKeysChange = Readonly<Partial<Record<TopLevelRole, KeysChange>>>;

/** `expires` in milliseconds since the epoch. */
export function nextRoot({ raw, role }: Verified<Root>, expires: number, change: RootKeysChange): JsonObject {
  const roles = Object.fromEntries(
    Object.entries(object(raw['roles'], 'root.roles')).map(([name, keys]) => [
      name,
      changedKeys(object(keys, name), change[name as TopLevelRole]),
    ]),
  );
  const table = {
    ...object(raw['keys'], 'root.keys'),
    ...keyTable(Object.values(change).flatMap(({ add }) => add)),
  };
  const named = new Set(Object.values(roles).flatMap(({ keyids }) => keyids as readonly string[]));
  return {
    ...raw,
    version: role.version + 1,
    expires: formatInstant(expires),
    keys: Object.fromEntries(Object.entries(table).filter(([id]) => named.has(id))),
    roles,
  };
}

function changedKeys(keys: JsonObject, change: KeysChange | undefined): JsonObject {
  if (!change) return keys;
  const kept = (keys['keyids'] as readonly string[]).filter((id) => !change.remove.includes(id));
  const added = roleKeysJson({ signers: change.add, threshold: change.threshold });
  return { ...keys, keyids: [...new Set([...kept, ...added.keyids])], threshold: change.threshold };
}
