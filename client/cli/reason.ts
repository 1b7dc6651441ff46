// Why something was taken back, as the one who did it wrote it: a bounded member `reasons` beside what is signed anyway, in
// the namespace's or its revoker's file. It explains to people and decides nothing; one that cannot be read is left out.
import type { Json, JsonObject } from '../../manifest/json.ts';
import { isLapseError } from '../../manifest/errors.ts';
import { targetPath } from '../../manifest/names.ts';
import { revokerOf } from '../../manifest/realm/realm.ts';
import type { Secret } from '../../manifest/realm/secret.ts';
import { array, formatInstant, instant, object, string } from '../../manifest/shape.ts';
import { currentRole } from '../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../errors.ts';
import type { RealmState } from '../reading.ts';

/** The last so many of a secret, of so many characters each. */
const MOST = 16;
const CHARACTERS = 256;

export interface Reason {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** `payments/db@3`, `payments/db`, or with a workload `payments/db for web`. */
  readonly what: string;
  readonly text: string;
}

/** @throws ClientError usage */
export function parseReason(text: string | undefined): string | undefined {
  if (text === undefined || (text.length <= CHARACTERS && !/\p{Cc}/u.test(text))) return text;
  throw new ClientError('usage', `--reason is up to ${CHARACTERS} characters on one line`);
}

/** `targets` with a reason beside the newest version of a secret. */
export function explainInNamespace(targets: JsonObject, secret: Secret, reason: Reason): JsonObject {
  const path = targetPath(secret.namespace, secret.name, secret.newestVersion);
  const target = object(targets[path], path);
  return { ...targets, [path]: { ...target, custom: explained(object(target['custom'], path), reason) } };
}

/** `withdrawals` with a reason beside what is taken back of a secret. */
export function explainInRevoker(withdrawals: JsonObject, { name }: Secret, reason: Reason): JsonObject {
  return { ...withdrawals, [name]: explained(object(withdrawals[name], name), reason) };
}

/** The oldest first. */
export function reasonsOf(state: RealmState, secret: Secret): readonly Reason[] {
  const { namespace, name, newestVersion } = secret;
  const target = currentRole(state.set, namespace)?.role.targets.get(
    targetPath(namespace, name, newestVersion),
  );
  const withdrawals = currentRole(state.set, revokerOf(namespace))?.raw['withdrawals'] as
    JsonObject | undefined;
  return [target?.custom, withdrawals?.[name]]
    .flatMap((raw) => readReasons((raw as JsonObject | undefined)?.['reasons']))
    .sort((a, b) => a.at - b.at);
}

function explained(raw: JsonObject, { at, what, text }: Reason): JsonObject {
  const before = Array.isArray(raw['reasons']) ? (raw['reasons'] as readonly Json[]) : [];
  return { ...raw, reasons: [...before.slice(1 - MOST), { at: formatInstant(at), what, text }] };
}

function readReasons(value: Json | undefined): readonly Reason[] {
  if (value === undefined) return [];
  try {
    return array(value, 'reasons', MOST).map((each) => {
      const raw = object(each, 'reason');
      return {
        at: instant(raw['at'], 'reason.at'),
        what: string(raw['what'], 'reason.what'),
        text: string(raw['text'], 'reason.text').slice(0, CHARACTERS),
      };
    });
  } catch (error) {
    if (!isLapseError(error)) throw error;
    return [];
  }
}
