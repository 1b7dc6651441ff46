// What changed in the realm since a revision, as far as it is small: the newest timestamp, with the files that it
// leads to inline. Whoever has been away too long gets the current metadata; what does not fit is fetched.
import { EXCHANGE_LIMITS } from '../manifest/realm/exchange.ts';
import type { News } from '../manifest/realm/exchange.ts';
import type { CompleteSet, Current } from './current.ts';
import { isEnvelopeKey, roleKey } from './keys.ts';
import type { Store } from './store/store.ts';

/** Commits that one event may merge; further behind, the current metadata is the shorter story. */
const MERGED_CHANGES = 64;

/** Bytes of files in one event, so that base64 and the names around it stay within EXCHANGE_LIMITS.event. */
const INLINE_BYTES = EXCHANGE_LIMITS.event / 2;

export async function readNews(store: Store, current: Current, since: number | undefined): Promise<News> {
  const files = new Map<string, Uint8Array>();
  let room = INLINE_BYTES;
  for (const key of await changedKeys(store, current, since)) {
    const value = (await store.get(key))?.value;
    if (!value || value.length > EXCHANGE_LIMITS.inlineFile || value.length > room) continue;
    room -= value.length;
    files.set(key, value);
    if (files.size === EXCHANGE_LIMITS.filesPerEvent) break;
  }
  return { timestamp: current.set.timestamp.bytes, files };
}

/** Metadata first and in the order in which a client verifies it, then envelopes. */
async function changedKeys(
  store: Store,
  current: Current,
  since: number | undefined,
): Promise<readonly string[]> {
  const metadata = metadataKeys(current.set);
  const changes = since === undefined ? 'compacted' : await store.changesSince(since, MERGED_CHANGES + 1);
  if (changes === 'compacted' || changes.length > MERGED_CHANGES) return metadata;
  const touched = new Set(changes.flatMap(({ keys }) => keys));
  return [...metadata.filter((key) => touched.has(key)), ...[...touched].filter(isEnvelopeKey)];
}

/** Root 1 is where everybody begins. */
function metadataKeys({ root, snapshot }: CompleteSet): readonly string[] {
  const { version } = root.role;
  const roles = [...snapshot.role.roles].map(([name, { version }]) => roleKey(name, version));
  const later = version > 1 ? [roleKey('root', version)] : [];
  return [...later, roleKey('snapshot', snapshot.role.version), ...roles];
}
