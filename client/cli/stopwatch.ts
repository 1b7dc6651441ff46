// Clock zero and the stages after it. Zero is when keys can be used, connections stand, the value was read and the operator
// has confirmed; what came before (starting the process, typing) is reported beside, as `processMs`.
import { milliseconds } from '../clock.ts';
import type { Clock } from '../clock.ts';

export class Stopwatch {
  readonly #clock: Clock;
  readonly #zero: bigint;
  readonly #processMs: number;
  readonly #stages = new Map<string, number>();
  readonly #ends = new Map<string, bigint>();
  #last: bigint;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#processMs = clock.sinceStart();
    this.#zero = this.#last = clock.monotonic();
  }

  /** Ends a stage; a stage that ends again adds up. */
  lap(stage: string): void {
    const now = this.#clock.monotonic();
    this.#stages.set(stage, (this.#stages.get(stage) ?? 0) + milliseconds(this.#last, now));
    this.#last = now;
    this.#ends.set(stage, now);
  }

  /** Clock zero, in nanoseconds of CLOCK_MONOTONIC. */
  get zero(): bigint {
    return this.#zero;
  }

  /** When a stage ended last, by the same clock; zero, if it never did. */
  ended(stage: string): bigint {
    return this.#ends.get(stage) ?? this.#zero;
  }

  /** Milliseconds from zero to a reading of the clock's `monotonic`. */
  since(at: bigint): number {
    return milliseconds(this.#zero, at);
  }

  /** A moment that ends no stage, in milliseconds from zero. */
  moment(name: string, ms: number): void {
    this.#stages.set(name, ms);
  }

  /** From zero to the end of the last stage, in milliseconds. */
  get total(): number {
    return milliseconds(this.#zero, this.#last);
  }

  /** Milliseconds; `clockZero` in nanoseconds of CLOCK_MONOTONIC, as text. */
  report(): { clockZero: string; ms: Record<string, number>; processMs: number } {
    return {
      clockZero: String(this.#zero),
      ms: { ...Object.fromEntries(this.#stages), total: this.total },
      processMs: Math.round(this.#processMs * 10) / 10,
    };
  }
}
