// The private keys of pools, as whoever runs the fleet holds them: made here for a new epoch, or unwrapped from the copy
// that `fleet` keeps for its custodians. Raw bytes for as long as keyrings are written, then zeroed.
import { randomBytes } from 'node:crypto';
import type { PoolName, RealmId } from '../../manifest/names.ts';
import type { Pool, PoolEpoch } from '../../manifest/realm/fleet.ts';
import { poolPrivateKey, publicHalf, unwrapPoolKey, wrapPoolKey } from '../../manifest/realm/pool-key.ts';
import { importRecipient, recipientOf } from '../../manifest/realm/recipient.ts';
import type { Recipient } from '../../manifest/realm/recipient.ts';
import { ClientError } from '../errors.ts';
import type { Identities } from './identities.ts';

/** A key pair that is not in `fleet` yet. The caller zeroes `raw`. */
export interface NewEpoch {
  readonly epoch: PoolEpoch;
  readonly raw: Uint8Array;
}

/** Makes the pair of a pool's epoch, its private half wrapped to each custodian of the fleet. */
export async function makeEpoch(
  realm: RealmId,
  pool: PoolName,
  number: number,
  custodians: readonly Recipient[],
): Promise<NewEpoch> {
  const raw = randomBytes(32);
  const recipient = recipientOf(publicHalf(poolPrivateKey(raw)), number);
  const context = { realm, pool, epoch: number };
  const copies = custodians.map(async (one) => wrapPoolKey(raw, await importRecipient(one), context));
  return { epoch: { ...recipient, custodians: await Promise.all(copies) }, raw };
}

export class PoolKeys implements Disposable {
  readonly #realm: RealmId;
  readonly #identities: Identities;
  /** By thumbprint of the epoch's public key. */
  readonly #raw = new Map<string, Uint8Array>();

  constructor(realm: RealmId, identities: Identities) {
    this.#realm = realm;
    this.#identities = identities;
  }

  /** Makes a pool's next epoch, or its first. */
  async next(pool: PoolName, before: Pool | undefined, custodians: readonly Recipient[]): Promise<PoolEpoch> {
    const { epoch, raw } = await makeEpoch(this.#realm, pool, (before?.epoch ?? 0) + 1, custodians);
    this.#raw.set(epoch.kid, raw);
    return epoch;
  }

  /** @throws ClientError custodian-missing, ManifestError key-wrap-mismatch */
  async of(pool: PoolName, epoch: PoolEpoch): Promise<Uint8Array> {
    const known = this.#raw.get(epoch.kid);
    if (known) return known;
    const raw = await this.#unwrap(pool, epoch);
    this.#raw.set(epoch.kid, raw);
    return raw;
  }

  [Symbol.dispose](): void {
    for (const raw of this.#raw.values()) raw.fill(0);
    this.#raw.clear();
  }

  async #unwrap(pool: PoolName, { epoch, key, custodians }: PoolEpoch): Promise<Uint8Array> {
    const [known] = await this.#identities.decryptors(custodians.map(({ kid }) => kid));
    const copy = custodians.find(({ kid }) => kid === known?.kid);
    if (!known || !copy) {
      const names = custodians.map(({ kid }) => kid.slice(0, 12)).join(', ');
      throw new ClientError(
        'custodian-missing',
        `only a custodian of the fleet has the key of pool ${pool}, and none is at hand: ${names}`,
      );
    }
    const identity = await this.#identities.open(known);
    const context = { realm: this.#realm, pool, epoch };
    return unwrapPoolKey(copy, (jwe) => identity.decrypt(jwe), context, key);
  }
}
