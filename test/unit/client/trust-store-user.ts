// A child for trust-store.test.ts: loads what a directory holds and saves the version after it, over and over, beside others
// that do the same. node trust-store-user.ts DIRECTORY REALM PUBLISHED TIMES; it says how often it saved something new.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NO_MEMORY } from '../../../client/reading.ts';
import { TrustStore } from '../../../client/trust-store.ts';
import { parseRealmId } from '../../../manifest/names.ts';
import {
  trustRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../../manifest/tuf/trusted-set.ts';

const [directory = '', realm = '', published = '', times] = process.argv.slice(2);

function setOf(version: number): TrustedSet {
  const read = (role: string): Uint8Array => readFileSync(join(published, String(version), role));
  let set = trustRoot(read('root'));
  set = updateSnapshot(updateTimestamp(set, read('timestamp')), read('snapshot'));
  return updateTargets(updateTargets(set, 'targets', read('targets')), 'payments', read('payments'));
}

let newest = 1;
for (let i = 0; i < Number(times); i++) {
  const store = new TrustStore(directory, parseRealmId(realm));
  const version = (await store.load()).set?.timestamp?.role.version ?? 0;
  if (version < newest) throw new Error(`version ${version} is there, after ${newest}`);
  newest = version + 1;
  await store.save(setOf(newest), NO_MEMORY, new Set());
}
process.stdout.write(String(newest));
