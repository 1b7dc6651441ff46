// What a next root changes, in lines for whoever is about to sign it: everything that is signed and differs has its line, so
// that nothing can hide.
import { canonicalJson } from '../../manifest/canonical-json.ts';
import type { Json, JsonObject } from '../../manifest/json.ts';
import { formatInstant, object } from '../../manifest/shape.ts';
import { TOP_LEVEL_ROLES } from '../../manifest/tuf/root.ts';
import type { TopLevelRole } from '../../manifest/tuf/root.ts';
import type { RootDraft } from './root-draft.ts';

/** What the lines speak of already. */
const SHOWN: ReadonlySet<string> = new Set(['version', 'expires', 'keys', 'roles']);

/** `names` are those of the identities at hand, by key id. */
export function rootDifference(
  { before, next, hasTargets }: RootDraft,
  names: ReadonlyMap<string, string>,
): readonly string[] {
  return [
    `Root ${before.role.version} becomes root ${next.role.version}:`,
    ...TOP_LEVEL_ROLES.flatMap((role) => roleLines(role, before.raw, next.raw, names)),
    `  expires ${formatInstant(next.role.expires)}, before ${formatInstant(before.role.expires)}`,
    ...others(before.raw, next.raw, '', SHOWN),
    ...others(rolesIn(before.raw), rolesIn(next.raw), 'roles.', new Set<string>(TOP_LEVEL_ROLES)),
    ...(hasTargets ? ['  targets is signed again as it is, by its new keys'] : []),
  ];
}

function roleLines(
  role: TopLevelRole,
  before: JsonObject,
  next: JsonObject,
  names: ReadonlyMap<string, string>,
): readonly string[] {
  const [old, now] = [keysOf(before, role), keysOf(next, role)];
  const line = (sign: string, keyid: string): string => `  ${role}: ${sign} ${keyName(keyid, names)}`;
  const isSame = old.threshold === now.threshold && old.keyids.length === now.keyids.length;
  const howMany = ({ threshold, keyids }: typeof old): string => `${threshold} of ${keyids.length}`;
  return [
    ...old.keyids.filter((keyid) => !now.keyids.includes(keyid)).map((keyid) => line('-', keyid)),
    ...now.keyids.filter((keyid) => !old.keyids.includes(keyid)).map((keyid) => line('+', keyid)),
    ...(isSame ? [] : [`  ${role}: ${howMany(now)}, before ${howMany(old)}`]),
  ];
}

/** As they are signed, whether somebody here could use the key or not. */
function keysOf(root: JsonObject, role: TopLevelRole) {
  const { keyids, threshold } = object(rolesIn(root)[role], role);
  return { keyids: keyids as readonly string[], threshold: threshold as number };
}

function rolesIn(root: JsonObject): JsonObject {
  return object(root['roles'], 'root.roles');
}

/** The beginning of a key id, and the name of the identity here. */
export function keyName(keyid: string, names: ReadonlyMap<string, string>): string {
  const name = names.get(keyid);
  return `${keyid.slice(0, 16)}${name === undefined ? '' : ` (${name})`}`;
}

function others(
  before: JsonObject,
  next: JsonObject,
  within: string,
  shown: ReadonlySet<string>,
): readonly string[] {
  const text = (value: Json | undefined): string =>
    value === undefined ? '' : Buffer.from(canonicalJson(value)).toString();
  const members = new Set([...Object.keys(before), ...Object.keys(next)]);
  return [...members]
    .filter((name) => !shown.has(name) && text(before[name]) !== text(next[name]))
    .map((name) => `  ${within}${name} is another`);
}
