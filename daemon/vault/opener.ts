// The vault as the serving thread sees it: opens a slot (decrypts inside the arena), copies out of it, closes it.
// Nothing here waits for the main thread, but for the microseconds in which that zeroes a slot.
import sodium from 'sodium-native';
import { ENVELOPE } from '../../manifest/realm/envelope.ts';
import { SlotState } from './slot.ts';
import type { SlotTable } from './slot.ts';

const ZEROING_MS = 50;

/** What the vault and a sabotaged demo may differ in: turns a sealed slot's envelope into plaintext, in place. */
export type Decrypt = (parts: SlotParts) => void;

export interface SlotParts {
  readonly key: Uint8Array;
  readonly context: Uint8Array;
  readonly envelope: Uint8Array;
  readonly plain: Uint8Array;
}

export const decrypt: Decrypt = ({ key, context, envelope, plain }) => {
  const nonce = envelope.subarray(0, ENVELOPE.nonceBytes);
  const sealed = envelope.subarray(ENVELOPE.nonceBytes);
  sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(plain, null, sealed, context, nonce, key);
};

export function slotParts(slots: SlotTable, arena: Uint8Array, slot: number): SlotParts {
  const part = (offset: number, length: number): Uint8Array => arena.subarray(offset, offset + length);
  return {
    key: part(slots.get(slot, 'keyOffset'), ENVELOPE.keyBytes),
    context: part(slots.get(slot, 'contextOffset'), slots.get(slot, 'contextLength')),
    envelope: part(slots.get(slot, 'envelopeOffset'), slots.get(slot, 'envelopeLength')),
    plain: part(slots.get(slot, 'plainOffset'), slots.get(slot, 'plainLength')),
  };
}

export class VaultOpener {
  readonly #slots: SlotTable;
  readonly #arena: Uint8Array;
  readonly #decrypt: Decrypt;
  /** Told whenever a slot was decrypted, so that its plaintext does not linger for ever. */
  readonly #opened: (slot: number) => void;

  constructor(
    slots: SlotTable,
    arena: SharedArrayBuffer,
    opened: (slot: number) => void,
    decryptWith = decrypt,
  ) {
    this.#slots = slots;
    this.#arena = new Uint8Array(arena);
    this.#opened = opened;
    this.#decrypt = decryptWith;
  }

  /** Counts an open and makes the plaintext ready; false when the slot is revoked, or another's. */
  acquire(slot: number, generation: number): boolean {
    if (this.#slots.get(slot, 'generation') !== generation) return false;
    this.#slots.add(slot, 'opens', 1);
    this.#slots.add(slot, 'used', 1);
    let ready = false;
    try {
      ready = this.#ready(slot);
    } finally {
      if (!ready) this.#slots.add(slot, 'opens', -1);
    }
    return ready;
  }

  release(slot: number, generation: number): void {
    if (this.#slots.get(slot, 'generation') === generation) this.#slots.add(slot, 'opens', -1);
  }

  /** Copies value bytes from `offset` and returns their count, or -1 when the slot is or was just now revoked. */
  copy(slot: number, generation: number, offset: number, into: Uint8Array): number {
    while (this.#slots.get(slot, 'generation') === generation && this.#ready(slot)) {
      const count = Math.max(0, Math.min(into.length, this.#slots.get(slot, 'valueLength') - offset));
      const start = this.#slots.get(slot, 'plainOffset') + ENVELOPE.prefixBytes + offset;
      if (count > 0) into.set(this.#arena.subarray(start, start + count));
      // What was just copied may have been zeroed meanwhile, so the state decides after the copy. Only this thread
      // opens: still open means open all the time.
      if (this.#slots.state(slot) === SlotState.open) return count;
      into.fill(0, 0, count);
    }
    return -1;
  }

  #ready(slot: number): boolean {
    if (this.#slots.state(slot) === SlotState.zeroing) this.#slots.wait(slot, SlotState.zeroing, ZEROING_MS);
    if (this.#slots.move(slot, SlotState.sealed, SlotState.opening)) this.#unseal(slot);
    return this.#slots.state(slot) === SlotState.open;
  }

  /** A slot revoked meanwhile stays revoked; what was decrypted into it is wiped here, where it was written. */
  #unseal(slot: number): void {
    const parts = slotParts(this.#slots, this.#arena, slot);
    try {
      this.#decrypt(parts);
    } catch (error) {
      sodium.sodium_memzero(parts.plain);
      // Revoked meanwhile: then its key was zero, and that it did not open is no fault.
      if (!this.#slots.move(slot, SlotState.opening, SlotState.sealed)) return;
      throw error;
    }
    if (this.#slots.move(slot, SlotState.opening, SlotState.open)) this.#opened(slot);
    else sodium.sodium_memzero(parts.plain);
  }
}
