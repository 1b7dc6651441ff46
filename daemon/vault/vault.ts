// The vault as the main thread sees it: loads versions into the arena, lets plaintext linger only briefly, and
// takes versions back. At rest a slot holds ciphertext and its data key; plaintext stands there only while a file
// is open or was so within `lingerMs`, as `lru-cache` keeps the time.
import { LRUCache } from 'lru-cache';
import sodium from 'sodium-native';
import { isLapseError } from '../../manifest/errors.ts';
import { ENVELOPE, associatedData, paddedBytes, valueRange } from '../../manifest/realm/envelope.ts';
import type { VersionContext } from '../../manifest/realm/envelope.ts';
import { DaemonError } from '../errors.ts';
import type { Arena, Region } from './arena.ts';
import { decrypt, slotParts } from './opener.ts';
import type { SlotParts } from './opener.ts';
import { SlotState } from './slot.ts';
import type { SlotTable } from './slot.ts';

export interface Loaded {
  readonly slot: number;
  /** Which occupant of the slot it is. */
  readonly generation: number;
  /** The value's length in bytes. */
  readonly size: number;
}

export class Vault {
  readonly #arena: Arena;
  readonly #slots: SlotTable;
  readonly #memory: Uint8Array;
  readonly #regions = new Map<number, Region>();
  readonly #empty: number[];
  /** Slots that hold plaintext, with the count of their opens when that was last looked at. */
  readonly #lingering: LRUCache<number, number>;

  constructor(memory: SharedArrayBuffer, arena: Arena, slots: SlotTable, lingerMs: number) {
    this.#memory = new Uint8Array(memory);
    this.#arena = arena;
    this.#slots = slots;
    this.#empty = Array.from({ length: slots.count }, (_, i) => slots.count - 1 - i);
    this.#lingering = new LRUCache({
      max: slots.count,
      // 0 would mean for ever to it.
      ttl: Math.max(1, lingerMs),
      ttlAutopurge: true,
      disposeAfter: (used, slot, reason) => {
        if (reason !== 'delete' && reason !== 'set') this.#expire(slot, used);
      },
    });
  }

  /**
   * Takes an envelope and its data key; both Buffers are the caller's to zero afterwards. The envelope is opened
   * once to prove it and to learn the value's length, and sealed again.
   * @throws DaemonError arena-full, slots-full, envelope-refused
   */
  load(envelope: Uint8Array, dataKey: Uint8Array, context: VersionContext): Loaded {
    const slot = this.#empty.pop();
    if (slot === undefined)
      throw new DaemonError('slots-full', `more than ${this.#slots.count} live versions`);
    try {
      const parts = this.#place(slot, envelope, dataKey, associatedData(context));
      const size = prove(parts);
      this.#slots.set(slot, 'valueLength', size);
      this.#slots.force(slot, SlotState.sealed);
      return { slot, generation: this.#slots.get(slot, 'generation'), size };
    } catch (error) {
      this.#vacate(slot);
      throw error;
    }
  }

  /** The serving thread decrypted a slot: from now on its plaintext is on the clock. */
  noteOpened(slot: number): void {
    this.#lingering.set(slot, this.#slots.get(slot, 'used'));
  }

  /** At once, for both threads: nothing more comes out of this slot, and its key and plaintext are zero. */
  revoke(slot: number): void {
    this.#slots.force(slot, SlotState.revoked);
    const parts = slotParts(this.#slots, this.#memory, slot);
    sodium.sodium_memzero(parts.key);
    sodium.sodium_memzero(parts.plain);
    this.#lingering.delete(slot);
  }

  /** Frees a revoked slot, once the serving thread can no longer be in the middle of it. */
  reclaim(slot: number): void {
    this.#vacate(slot);
  }

  /** Slots that hold plaintext right now. */
  get open(): number {
    let open = 0;
    for (const slot of this.#regions.keys()) if (this.#slots.state(slot) === SlotState.open) open++;
    return open;
  }

  /** Revokes everything; for shutdown. */
  [Symbol.dispose](): void {
    for (const slot of this.#regions.keys()) this.revoke(slot);
  }

  #place(slot: number, envelope: Uint8Array, dataKey: Uint8Array, context: Uint8Array): SlotParts {
    const plainLength = paddedBytes(envelope.length);
    const region = this.#arena.allocate(ENVELOPE.keyBytes + context.length + envelope.length + plainLength);
    this.#regions.set(slot, region);
    let offset = region.offset;
    const place = (field: 'key' | 'context' | 'envelope' | 'plain', length: number): void => {
      this.#slots.set(slot, `${field}Offset`, offset);
      if (field !== 'key') this.#slots.set(slot, `${field}Length`, length);
      offset += length;
    };
    place('key', ENVELOPE.keyBytes);
    place('context', context.length);
    place('envelope', envelope.length);
    place('plain', plainLength);
    const parts = slotParts(this.#slots, this.#memory, slot);
    parts.key.set(dataKey);
    parts.context.set(context);
    parts.envelope.set(envelope);
    return parts;
  }

  #vacate(slot: number): void {
    const region = this.#regions.get(slot);
    if (region) this.#arena.release(region);
    this.#regions.delete(slot);
    this.#slots.set(slot, 'opens', 0);
    this.#slots.add(slot, 'generation', 1);
    this.#slots.force(slot, SlotState.empty);
    this.#empty.push(slot);
  }

  /** Zeroes plaintext that nobody holds open and nobody asked for since; otherwise it gets another turn. */
  #expire(slot: number, usedBefore: number): void {
    const inUse = this.#slots.get(slot, 'opens') > 0 || this.#slots.get(slot, 'used') !== usedBefore;
    if (inUse || !this.#slots.move(slot, SlotState.open, SlotState.zeroing)) {
      // Not from here: what is set while it tells of an expiry, lru-cache 11.5 loses the timer of, which then runs for ever.
      queueMicrotask(() => {
        if (this.#slots.state(slot) === SlotState.open) this.noteOpened(slot);
      });
      return;
    }
    // The count may have risen between the look and the move: then the reader waits for the state to change.
    sodium.sodium_memzero(slotParts(this.#slots, this.#memory, slot).plain);
    this.#slots.force(slot, SlotState.sealed);
  }
}

function prove(parts: SlotParts): number {
  try {
    decrypt(parts);
    const [start, end] = valueRange(parts.plain);
    return end - start;
  } catch (cause) {
    throw new DaemonError('envelope-refused', 'an envelope does not open with its key', {
      cause: isLapseError(cause) ? cause : undefined,
    });
  } finally {
    sodium.sodium_memzero(parts.plain);
  }
}
