// When this machine itself stood still (standstills.c): no promise about time is one about a machine that does not run, and what
// is late by no more than that says nothing of lapsed. A machine that is only busy is no excuse: lapsed goes before.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../out/bin/standstills', import.meta.url));

/** Nanoseconds of CLOCK_MONOTONIC. */
export interface Standstill {
  readonly from: bigint;
  readonly to: bigint;
}

/** For how long some CPU stood still between two moments, in milliseconds. */
export type StoodStill = (from: bigint, to: bigint) => number;

export class Standstills implements AsyncDisposable {
  readonly #child;
  readonly #ended: Promise<unknown>;
  readonly #noted: Standstill[] = [];

  private constructor() {
    this.#child = spawn(PROGRAM, { stdio: ['pipe', 'pipe', 'inherit'] });
    // Also where it is missing; then nothing is known of a standstill, and nothing is excused by one.
    this.#ended = once(this.#child, 'close').catch(() => undefined);
  }

  /** Resolves when it watches, or cannot. */
  static async start(): Promise<Standstills> {
    const standstills = new Standstills();
    await Promise.race([standstills.#watch(), standstills.#ended]);
    return standstills;
  }

  async #watch(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      resolve(undefined);
      const [from, to] = line.split(' ');
      if (from !== undefined && to !== undefined) this.#noted.push({ from: BigInt(from), to: BigInt(to) });
    });
    await promise;
  }

  /** False where it may not go before others, or is missing: then no standstill is known. */
  get isWatching(): boolean {
    return this.#child.exitCode === null && this.#child.pid !== undefined;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  readonly between: StoodStill = (from, to) => lengthOf(this.#noted, from, to);

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Those of several CPUs may overlap. */
export function lengthOf(standstills: readonly Standstill[], from: bigint, to: bigint): number {
  let length = 0n;
  let end = from;
  for (const each of standstills.toSorted((a, b) => Number(a.from - b.from))) {
    const [begun, over] = [each.from > end ? each.from : end, each.to < to ? each.to : to];
    if (over <= begun) continue;
    length += over - begun;
    end = over;
  }
  return Number(length) / 1e6;
}
