// The private keys of the pools that this host is a member of, each as one KeyObject; the thumbprint of its public
// half is the `kid` by which a wrapped data key names it.
import type { KeyObject } from 'node:crypto';
import { readKeyFile, recipientKey } from '../../client/key-file.ts';
import type { VersionContext } from '../../manifest/realm/envelope.ts';
import { unwrapKey } from '../../manifest/realm/key-wrap.ts';
import type { WrappedKey } from '../../manifest/realm/key-wrap.ts';
import { DaemonError } from '../errors.ts';

export class Keyring {
  readonly #keys: ReadonlyMap<string, KeyObject>;

  private constructor(keys: ReadonlyMap<string, KeyObject>) {
    this.#keys = keys;
  }

  /** @throws ClientError key-unreadable */
  static async read(paths: readonly string[]): Promise<Keyring> {
    const keys = new Map<string, KeyObject>();
    for (const path of paths) {
      const key = await readKeyFile(path, 'x25519');
      keys.set((await recipientKey(key)).kid, key);
    }
    return new Keyring(keys);
  }

  /**
   * The version's data key; the caller zeroes it.
   * @throws DaemonError no-recipient; ManifestError key-wrap-mismatch
   */
  async unwrap(keys: readonly WrappedKey[], context: VersionContext): Promise<Uint8Array> {
    for (const wrapped of keys) {
      const key = this.#keys.get(wrapped.kid);
      if (key) return unwrapKey(wrapped, key, context);
    }
    const { namespace, name, version } = context;
    throw new DaemonError(
      'no-recipient',
      `${namespace}/${name}@${version} is not encrypted to a pool of this host`,
    );
  }
}
