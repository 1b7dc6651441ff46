// Everything that the readers report: counted at once, judged when it is known how the world was at that time. What is wrong
// is kept in words, and one good attempt of every way for the controls.
import type { Attempt, Way } from './attempts.ts';
import { now } from './certainty.ts';
import { judge } from './judge.ts';
import type { Reader } from './readers.ts';
import type { Stalls } from './stalls.ts';
import type { Workload, World } from './world.ts';

/** Of one kind. */
const MOST_WORDS = 20;
const SILENT_S = 8;
/** Attempts may still be on their way to us, and so may word of a server that died. */
const LATE_NS = 6e9;
const MEMORY_NS = 120e9;

export class Ledger {
  readonly attempts: Record<string, number> = {};
  readonly results: Record<string, number> = {};
  /** The first ones of each kind. */
  readonly violations: string[] = [];
  violationCount = 0;
  /** Attempts that took too long while the machine stood still. */
  stalled = 0;
  readonly #kinds = new Map<string, number>();
  readonly #world: World;
  readonly #readers: readonly Reader[];
  readonly #stalls: Stalls;
  readonly #samples = new Map<Way, Attempt>();
  readonly #silent = new Set<Reader>();
  #total = 0;
  #judged = 0;
  #slowestNs = 0;

  constructor(world: World, readers: readonly Reader[], stalls: Stalls) {
    this.#world = world;
    this.#readers = readers;
    this.#stalls = stalls;
  }

  get total(): number {
    return this.#total;
  }

  get judged(): number {
    return this.#judged;
  }

  get slowestMs(): number {
    return Math.round(this.#slowestNs / 1e5) / 10;
  }

  /** One attempt of every way that was right and found something. */
  get samples(): readonly Attempt[] {
    return [...this.#samples.values()];
  }

  complain(violation: string, kind = violation): void {
    const count = (this.#kinds.get(kind) ?? 0) + 1;
    this.#kinds.set(kind, count);
    this.violationCount += 1;
    if (count <= MOST_WORDS) this.violations.push(violation);
  }

  /** It has just been reported. */
  note(workload: Workload, attempt: Attempt): void {
    const { way, result, start, end, secret } = attempt;
    this.#total += 1;
    this.attempts[way] = (this.attempts[way] ?? 0) + 1;
    this.results[result] = (this.results[result] ?? 0) + 1;
    this.#slowestNs = Math.max(this.#slowestNs, end - start);
    // A volume shows a name before the view does.
    if (result === 'ok' && (way === 'self' || way === 'view')) workload.places[secret]!.found(start, end);
  }

  /** Judges what can be judged; in the end, all. */
  settle(isEnd = false): void {
    const at = now();
    const before = isEnd ? Infinity : this.#world.horizon(at - LATE_NS);
    for (const reader of this.#readers) {
      for (const attempt of reader.take(before)) this.#judge(reader.workload, attempt);
      if (!isEnd) this.#listen(reader);
    }
    if (!isEnd) this.#world.forget(Math.min(at - MEMORY_NS, before - LATE_NS));
  }

  #listen(reader: Reader): void {
    if (reader.silence < SILENT_S) this.#silent.delete(reader);
    else if (!this.#silent.has(reader)) {
      this.#silent.add(reader);
      const at = now();
      if (this.#stalls.near(at - SILENT_S * 1e9, at)) return;
      this.complain(`a reader of ${reader.workload.name} has not been heard of for ${SILENT_S} s`);
    }
  }

  #judge(workload: Workload, attempt: Attempt): void {
    this.#judged += 1;
    const verdict = judge(this.#world, workload, attempt);
    const { way, secret, version, start, end } = attempt;
    if (verdict === undefined) this.#keep(attempt);
    else if (verdict.startsWith('took') && this.#stalls.near(start, end)) this.stalled += 1;
    else
      this.complain(
        `${workload.name} ${way} s${secret}@${version} at ${(start / 1e9).toFixed(3)} s (${((end - start) / 1e6).toFixed(1)} ms): ${verdict}`,
        `${way}: ${verdict.replaceAll(/[0-9.]+/g, '#')}`,
      );
  }

  #keep(attempt: Attempt): void {
    const { way, result } = attempt;
    if (this.#samples.has(way)) return;
    const isRefusedAlways = way === 'foreign' || result === 'EROFS';
    const isFirst = way.startsWith('list') && (attempt.listed & 1) === 0;
    if (isRefusedAlways || (result === 'ok' && !isFirst)) this.#samples.set(way, attempt);
  }
}
