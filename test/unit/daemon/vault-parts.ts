// A vault on a real arena, real envelopes for it, and a search of every byte of the arena.
import { randomBytes } from 'node:crypto';
import { Arena } from '../../../daemon/vault/arena.ts';
import { VaultOpener } from '../../../daemon/vault/opener.ts';
import { SlotTable } from '../../../daemon/vault/slot.ts';
import { Vault } from '../../../daemon/vault/vault.ts';
import type { Loaded } from '../../../daemon/vault/vault.ts';
import { parseNamespace, parseRealmId, parseSecretName } from '../../../manifest/names.ts';
import { sealEnvelope } from '../../../manifest/realm/envelope.ts';
import type { VersionContext } from '../../../manifest/realm/envelope.ts';

export interface Sealed {
  readonly value: Buffer;
  readonly envelope: Uint8Array;
  readonly dataKey: Buffer;
  readonly context: VersionContext;
}

export function sealed(value: Buffer = randomBytes(300), version = 1): Sealed {
  const context: VersionContext = {
    realm: parseRealmId('0'.repeat(64)),
    namespace: parseNamespace('payments'),
    name: parseSecretName('db'),
    version,
  };
  const dataKey = randomBytes(32);
  return { value, dataKey, context, envelope: sealEnvelope(value, dataKey, randomBytes(24), context) };
}

export class VaultParts {
  readonly memory: SharedArrayBuffer;
  readonly arena: Arena;
  readonly slots: SlotTable;
  readonly vault: Vault;
  readonly opener: VaultOpener;

  constructor({ bytes = 1 << 16, slots = 4, lingerMs = 10_000 } = {}) {
    this.memory = new SharedArrayBuffer(bytes);
    this.arena = new Arena(this.memory);
    this.slots = SlotTable.create(slots);
    this.vault = new Vault(this.memory, this.arena, this.slots, lingerMs);
    this.opener = new VaultOpener(this.slots, this.memory, (slot) => this.vault.noteOpened(slot));
  }

  load({ envelope, dataKey, context }: Sealed): Loaded {
    return this.vault.load(envelope, dataKey, context);
  }

  /** Opens a slot and returns the generation that a handle would remember. */
  open(slot: number): number {
    const generation = this.slots.get(slot, 'generation');
    if (!this.opener.acquire(slot, this.slots.get(slot, 'generation')))
      throw new Error(`slot ${slot} cannot be opened`);
    return generation;
  }

  /** What a read of the whole gives; undefined for a refusal, which must leave nothing in the buffer. */
  read(slot: number, generation: number, offset = 0): Buffer | undefined {
    const into = Buffer.alloc(1 << 17);
    const count = this.opener.copy(slot, generation, offset, into);
    if (count < 0 && into.some((byte) => byte !== 0)) throw new Error('a refused read left bytes behind');
    return count < 0 ? undefined : into.subarray(0, count);
  }

  /** Whether these bytes stand anywhere in the arena. */
  holds(bytes: Uint8Array): boolean {
    return Buffer.from(this.memory).includes(Buffer.from(bytes));
  }

  /** How many bytes of the arena are not zero. */
  get filled(): number {
    return new Uint8Array(this.memory).reduce((count, byte) => count + (byte === 0 ? 0 : 1), 0);
  }
}
