// Gives new custodians what is there already: each living version's data key, unwrapped by a custodian who is at hand and
// wrapped again. The envelopes stay as they are. What nobody here can unwrap is named, and has to be rotated.
import type { JsonObject } from '../../manifest/json.ts';
import { LIMITS } from '../../manifest/limits.ts';
import type { Namespace, TargetPath } from '../../manifest/names.ts';
import { addKeys } from '../../manifest/realm/change.ts';
import type { WrappedKey } from '../../manifest/realm/jwe.ts';
import { unwrapKey, wrapKey } from '../../manifest/realm/key-wrap.ts';
import { importRecipient } from '../../manifest/realm/recipient.ts';
import type { Recipient } from '../../manifest/realm/recipient.ts';
import type { LiveVersion, Secret } from '../../manifest/realm/secret.ts';
import { liveVersions } from '../../manifest/realm/succession.ts';
import type { Session } from './session.ts';

/** What became of the living versions of a namespace that a custodian lacked. */
export interface Rewrapped {
  /** The next `targets` of the namespace. */
  readonly targets: JsonObject;
  readonly wrapped: readonly TargetPath[];
  readonly left: readonly TargetPath[];
}

/** `targets` as it is about to be signed; what is no longer in it is not looked at. */
export async function rewrap(
  session: Session,
  namespace: Namespace,
  targets: JsonObject,
  custodians: readonly Recipient[],
): Promise<Rewrapped> {
  let next = targets;
  const wrapped: TargetPath[] = [];
  const left: TargetPath[] = [];
  for (const secret of session.state.secrets.get(namespace)?.values() ?? []) {
    for (const live of liveVersions(secret)) {
      const lacking = custodians.filter(({ kid }) => !live.keys.some((key) => key.kid === kid));
      if (lacking.length === 0 || next[live.path] === undefined) continue;
      const keys = await copies(session, secret, live, lacking);
      if (keys) next = addKeys(next, live.path, keys);
      (keys ? wrapped : left).push(live.path);
    }
  }
  return { targets: next, wrapped, left };
}

/** Nothing, when no custodian of that version is at hand, or there is no room for more. */
async function copies(
  session: Session,
  { namespace, name }: Secret,
  { version, keys }: LiveVersion,
  lacking: readonly Recipient[],
): Promise<readonly WrappedKey[] | undefined> {
  const [known] = await session.identities.decryptors(keys.map(({ kid }) => kid));
  const copy = keys.find(({ kid }) => kid === known?.kid);
  if (!known || !copy || keys.length + lacking.length > LIMITS.recipientsPerVersion) return undefined;
  const identity = await session.identities.open(known);
  const context = { realm: session.updater.realm, namespace, name, version };
  const dataKey = await unwrapKey(copy, (jwe) => identity.decrypt(jwe), context);
  try {
    return await Promise.all(
      lacking.map(async (recipient) => wrapKey(dataKey, await importRecipient(recipient), context)),
    );
  } finally {
    dataKey.fill(0);
  }
}
