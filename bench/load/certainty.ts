// What is known of a fact over time. A change makes it uncertain when it begins, and certain again when it is in effect; so
// an attempt that overlaps a change may see either, and one beside it may not. Times are CLOCK_MONOTONIC in nanoseconds,
// which a double holds exactly for a hundred days.

export type Sure = 'yes' | 'no' | 'maybe';

interface Mark {
  readonly at: number;
  readonly sure: Sure;
}

export function now(): number {
  return Number(process.hrtime.bigint());
}

export class Certainty {
  #marks: Mark[];

  constructor(sure: Sure) {
    this.#marks = [{ at: 0, sure }];
  }

  /** From then on; whatever was said of later is void. */
  set(sure: Sure, at: number): void {
    while (this.#marks.length > 1 && this.#marks.at(-1)!.at >= at) this.#marks.pop();
    this.#marks.push({ at, sure });
  }

  get last(): Sure {
    return this.#marks.at(-1)!.sure;
  }

  /** 'yes' or 'no' only if it was so from start to end. */
  throughout(start: number, end: number): Sure {
    const i = this.#marks.findLastIndex(({ at }) => at <= start);
    const next = this.#marks[i + 1];
    return next && next.at <= end ? 'maybe' : this.#marks[i]!.sure;
  }

  /** Nobody will ask about what was before. */
  forget(before: number): void {
    const i = this.#marks.findLastIndex(({ at }) => at <= before);
    if (i > 0) this.#marks = this.#marks.slice(i);
  }
}
