// The table of slots, one per version of a secret that this host can serve, in memory that both threads share. A
// slot says where in the arena its parts stand, how often it is open, and what state it is in. Every change of state
// is one atomic step, which is what makes a revocation immediate: no message has to arrive for it.
//
//   empty ──load──▶ sealed ──open──▶ opening ──▶ open ──linger──▶ zeroing ──▶ sealed
//                      └────────────────┴──────────┴── revoke ──▶ revoked ──▶ empty
//
// Only the serving thread opens; only the main thread loads, zeroes and revokes.

export const SlotState = { empty: 0, sealed: 1, opening: 2, open: 3, zeroing: 4, revoked: 5 } as const;
export type SlotState = (typeof SlotState)[keyof typeof SlotState];

const FIELDS = [
  'state',
  /** Open handles. */
  'opens',
  /** Counts opens for ever, so that the main thread can tell whether a slot was used lately. */
  'used',
  /** Counts loads, so that a handle of an earlier occupant is recognised. */
  'generation',
  'keyOffset',
  'contextOffset',
  'contextLength',
  'envelopeOffset',
  'envelopeLength',
  'plainOffset',
  'plainLength',
  'valueLength',
] as const;

export type SlotField = (typeof FIELDS)[number];

const INDEX = Object.fromEntries(FIELDS.map((field, i) => [field, i])) as Readonly<Record<SlotField, number>>;

export class SlotTable {
  readonly shared: SharedArrayBuffer;
  readonly count: number;
  readonly #words: Int32Array;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#words = new Int32Array(shared);
    this.count = Math.floor(this.#words.length / FIELDS.length);
  }

  static create(count: number): SlotTable {
    return new SlotTable(new SharedArrayBuffer(count * FIELDS.length * 4));
  }

  get(slot: number, field: SlotField): number {
    return Atomics.load(this.#words, this.#at(slot, field));
  }

  set(slot: number, field: SlotField, value: number): void {
    Atomics.store(this.#words, this.#at(slot, field), value);
  }

  add(slot: number, field: SlotField, value: number): void {
    Atomics.add(this.#words, this.#at(slot, field), value);
  }

  state(slot: number): number {
    return this.get(slot, 'state');
  }

  /** Moves from one state to another, if it is still the one. */
  move(slot: number, from: SlotState, to: SlotState): boolean {
    return Atomics.compareExchange(this.#words, this.#at(slot, 'state'), from, to) === from;
  }

  /** Moves to a state from whatever it is, and wakes who waits for a change. */
  force(slot: number, to: SlotState): void {
    const at = this.#at(slot, 'state');
    Atomics.store(this.#words, at, to);
    Atomics.notify(this.#words, at);
  }

  /** Blocks this thread while the state is `from`, for at most `ms`. */
  wait(slot: number, from: SlotState, ms: number): void {
    Atomics.wait(this.#words, this.#at(slot, 'state'), from, ms);
  }

  #at(slot: number, field: SlotField): number {
    return slot * FIELDS.length + INDEX[field];
  }
}
