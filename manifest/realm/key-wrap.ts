// A version's data key, wrapped once per recipient (`jwe.ts`) and bound to that version of that secret of that realm.
import type { VersionContext } from './envelope.ts';
import { unwrap, wrap } from './jwe.ts';
import type { Binding, Decrypt, WrappedKey } from './jwe.ts';
import type { ImportedRecipient } from './recipient.ts';

const PURPOSE = 'lapse-data-key';

function binding({ realm, namespace, name, version }: VersionContext, epoch: number): Binding {
  return { realm, namespace, name, version, epoch };
}

export async function wrapKey(
  dataKey: Uint8Array,
  recipient: ImportedRecipient,
  context: VersionContext,
): Promise<WrappedKey> {
  return wrap(dataKey, recipient, PURPOSE, binding(context, recipient.epoch));
}

/**
 * Unwraps a data key. The caller moves the returned 32 bytes into locked memory and zeroes them.
 * @throws ManifestError key-wrap-mismatch
 */
export async function unwrapKey(
  wrapped: WrappedKey,
  decrypt: Decrypt,
  context: VersionContext,
): Promise<Uint8Array> {
  return unwrap(wrapped, decrypt, PURPOSE, binding(context, wrapped.epoch));
}
