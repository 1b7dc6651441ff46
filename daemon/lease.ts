// The lease as both threads see it: the boot time at which this host's knowledge ends, in shared memory. The main
// thread moves it forward with every confirmed news; the serving thread compares it at each open and read, so a
// stuck main thread cannot keep a lease alive. Every start begins lapsed.

export class Lease {
  readonly shared: SharedArrayBuffer;
  readonly #end: BigInt64Array;
  readonly #boot: () => number;

  /** `boot` is this thread's clock: boot time in milliseconds. */
  constructor(boot: () => number, shared = new SharedArrayBuffer(8)) {
    this.shared = shared;
    this.#end = new BigInt64Array(shared);
    this.#boot = boot;
  }

  /** Boot time in milliseconds; 0 when there was no news yet. */
  get end(): number {
    return Number(Atomics.load(this.#end, 0));
  }

  holds(): boolean {
    return this.#boot() < this.end;
  }

  /** Moves the end forward, never back. */
  renew(end: number): void {
    if (end > this.end) Atomics.store(this.#end, 0, BigInt(Math.floor(end)));
  }

  /** Ends it now. */
  lapse(): void {
    Atomics.store(this.#end, 0, 0n);
  }
}
