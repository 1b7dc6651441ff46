// The private keys of this host's pools, each as one KeyObject, in memory only: from its keyring, a target of fleet-hosts,
// decrypted with the host's own key. Each must be the private half of what `fleet` signs for that pool and epoch. A keyring
// is fetched when the host's record or the fleet has changed, and again while something of it is amiss; whoever wants a key
// meanwhile waits for that, and never a reader.
import type { KeyObject } from 'node:crypto';
import type { Transport } from '../../client/transport.ts';
import type { RealmState } from '../../client/reading.ts';
import { ManifestError, isLapseError } from '../../manifest/errors.ts';
import type { LapseError } from '../../manifest/errors.ts';
import type { PoolName, RealmId } from '../../manifest/names.ts';
import type { VersionContext } from '../../manifest/realm/envelope.ts';
import type { Fleet } from '../../manifest/realm/fleet.ts';
import { keyringFile, parseKeyring } from '../../manifest/realm/hosts.ts';
import type { HostRecord, KeyringEntry } from '../../manifest/realm/hosts.ts';
import { decryptWith } from '../../manifest/realm/jwe.ts';
import type { Decrypt, WrappedKey } from '../../manifest/realm/jwe.ts';
import { unwrapKey } from '../../manifest/realm/key-wrap.ts';
import { poolPrivateKey, unwrapPoolKey } from '../../manifest/realm/pool-key.ts';
import { FLEET } from '../../manifest/realm/realm.ts';
import type { RecipientKey } from '../../manifest/realm/recipient.ts';
import { checkFile } from '../../manifest/tuf/metadata.ts';
import { DaemonError } from '../errors.ts';

export interface KeyringParts {
  readonly realm: RealmId;
  /** The host's own. */
  readonly encryptionKey: KeyObject;
  readonly transport: Pick<Transport, 'target'>;
  /** There are other keys than before: what could not be opened may open now. */
  readonly onChange: () => void;
}

interface PoolKey {
  readonly pool: PoolName;
  readonly epoch: number;
  readonly decrypt: Decrypt;
}

export class Keyring {
  readonly #parts: KeyringParts;
  readonly #decrypt: Decrypt;
  /** By thumbprint. */
  #keys: ReadonlyMap<string, PoolKey> = new Map();
  #problems: readonly LapseError[] = [];
  /** Which keyring and which fleet the keys were made of, or are being. */
  #source = '';
  #taking: Promise<void> = Promise.resolve();

  constructor(parts: KeyringParts) {
    this.#parts = parts;
    this.#decrypt = decryptWith(parts.encryptionKey);
  }

  get problems(): readonly LapseError[] {
    return this.#problems;
  }

  /** What it holds, for people. */
  get epochs(): readonly { readonly pool: PoolName; readonly epoch: number }[] {
    return [...this.#keys.values()].map(({ pool, epoch }) => ({ pool, epoch }));
  }

  /** Follows a verified state. Without a record there are no keys. `pushed` are files that came with it. */
  follow(
    { set, fleet }: RealmState,
    record: HostRecord | undefined,
    pushed: ReadonlyMap<string, Uint8Array>,
  ): void {
    const source = record && fleet ? `${record.keyring.sha256} ${set.targets.get(FLEET)?.sha256 ?? ''}` : '';
    if (source === this.#source && this.#problems.length === 0) return;
    this.#source = source;
    if (!record || !fleet) {
      this.#keys = new Map();
      this.#problems = [];
      return;
    }
    this.#taking = this.#taking.then(() => this.#take(source, record, fleet, pushed));
  }

  /**
   * A version's data key, by the key of one of these pools; the caller zeroes it.
   * @throws DaemonError no-recipient; ManifestError key-wrap-mismatch
   */
  async unwrap(
    keys: readonly WrappedKey[],
    context: VersionContext,
    pools: readonly PoolName[],
  ): Promise<Uint8Array> {
    await this.#taking;
    for (const wrapped of keys) {
      const key = this.#keys.get(wrapped.kid);
      if (key && pools.includes(key.pool)) return unwrapKey(wrapped, key.decrypt, context);
    }
    const { namespace, name, version } = context;
    throw new DaemonError(
      'no-recipient',
      `${namespace}/${name}@${version} is not encrypted to a pool key of this host`,
    );
  }

  async #take(
    source: string,
    record: HostRecord,
    fleet: Fleet,
    pushed: ReadonlyMap<string, Uint8Array>,
  ): Promise<void> {
    if (source !== this.#source) return;
    const problems: LapseError[] = [];
    const keys = new Map<string, PoolKey>();
    try {
      for (const entry of await this.#entries(record, pushed)) {
        const { pool, epoch } = entry;
        const named = fleet.pools.get(pool)?.epochs.get(epoch);
        if (!named || !record.pools.includes(pool)) {
          problems.push(
            mismatch(`the keyring has a key of ${pool} in epoch ${epoch}, which is none of this host's`),
          );
          continue;
        }
        const key = this.#keys.get(named.kid) ?? (await this.#open(entry, named.key, problems));
        if (key) keys.set(named.kid, key);
      }
    } catch (error) {
      if (!isLapseError(error)) throw error;
      problems.push(error);
    }
    // A removal may have come meanwhile.
    if (source !== this.#source) return;
    this.#problems = problems;
    const isSame = keys.size === this.#keys.size && [...keys.keys()].every((kid) => this.#keys.has(kid));
    // One that cannot be fetched takes no key away: the lease does.
    if (isSame || (keys.size === 0 && problems.length > 0)) return;
    this.#keys = keys;
    this.#parts.onChange();
  }

  async #entries(
    record: HostRecord,
    pushed: ReadonlyMap<string, Uint8Array>,
  ): Promise<readonly KeyringEntry[]> {
    const file = keyringFile(record);
    const bytes = pushed.get(file) ?? (await this.#parts.transport.target(file, record.keyring.length));
    checkFile(bytes, record.keyring, file);
    return parseKeyring(bytes);
  }

  async #open(
    entry: KeyringEntry,
    named: RecipientKey,
    problems: LapseError[],
  ): Promise<PoolKey | undefined> {
    const { pool, epoch } = entry;
    let raw: Uint8Array | undefined;
    try {
      raw = await unwrapPoolKey(entry, this.#decrypt, { realm: this.#parts.realm, pool, epoch }, named);
      return { pool, epoch, decrypt: decryptWith(poolPrivateKey(raw)) };
    } catch (error) {
      if (!isLapseError(error)) throw error;
      problems.push(mismatch(`the key of ${pool} in epoch ${epoch}: ${error.message}`));
      return undefined;
    } finally {
      raw?.fill(0);
    }
  }
}

function mismatch(message: string): ManifestError {
  return new ManifestError('key-wrap-mismatch', message);
}
