// When the machine stood still, or was so busy that even a timer came late: then a server is rightly taken for dead, and what
// takes seconds says nothing about anybody. Such times are counted, and held against nobody.
import { now } from './certainty.ts';

const EVERY_MS = 20;
const LATE_NS = 300e6;
/** Others may have felt it before and after. */
const MARGIN_NS = 2e9;

export class Stalls implements Disposable {
  readonly #found: { readonly from: number; readonly to: number }[] = [];
  readonly #timer;
  #last = now();

  constructor() {
    this.#timer = setInterval(() => {
      const at = now();
      if (at - this.#last > LATE_NS) this.#found.push({ from: this.#last, to: at });
      this.#last = at;
    }, EVERY_MS);
  }

  get count(): number {
    return this.#found.length;
  }

  get longestMs(): number {
    return Math.round(Math.max(0, ...this.#found.map(({ from, to }) => to - from)) / 1e6);
  }

  near(start: number, end: number): boolean {
    return this.#found.some(({ from, to }) => from < end + MARGIN_NS && to > start - MARGIN_NS);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
