// How far a drill has come, in one line of the terminal, with the figure by which its kind is judged.
import type { DrillKind } from '../../../manifest/realm/drill/order.ts';
import type { HostTrial } from '../../../manifest/realm/drill/report.ts';
import { figureOf } from '../../drill/bound.ts';
import { FIGURES } from '../../drill/figures.ts';
import { spreadOf } from '../../drill/spread.ts';
import { milliseconds } from '../../drill/words.ts';
import type { Output } from '../output.ts';

export class Progress implements Disposable {
  readonly #output: Output;
  readonly #kind: DrillKind;
  /** Whole microseconds. */
  readonly #values: number[] = [];

  constructor(output: Output, kind: DrillKind) {
    this.#output = output;
    this.#kind = kind;
  }

  /** `what` is said before the figures: `trial 3 of 20`. */
  tell(what: string, hosts: readonly HostTrial[] = []): void {
    const measure = FIGURES.get(figureOf(this.#kind));
    for (const host of hosts) this.#values.push(...[measure?.(host)].filter((us) => us !== undefined));
    this.#output.live(`Drill ${this.#kind}: ${what}${this.#figures()}`);
  }

  /** The line goes away. */
  [Symbol.dispose](): void {
    this.#output.live('');
  }

  #figures(): string {
    if (this.#values.length === 0) return '';
    const { p50, p99 } = spreadOf(Float64Array.from(this.#values).sort());
    return `; last read p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}`;
  }
}
