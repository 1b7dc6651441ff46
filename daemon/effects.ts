// When changes took effect here: the last of them, each with the moment the news came and the moment it was in
// effect, after the barrier and the last notification. CLOCK_MONOTONIC in nanoseconds, as every process of the
// host can read it.
import type { Clock } from '../client/clock.ts';
import { LIMITS } from '../manifest/limits.ts';
import type { TargetPath } from '../manifest/names.ts';
import type { Table } from './table.ts';

const MOST = 256;

export interface Effect {
  readonly version: TargetPath;
  readonly change: 'shown' | 'superseded' | 'withdrawn';
  readonly receivedAt: bigint;
  readonly effectAt: bigint;
}

/** When one table after another was in effect; nanoseconds of CLOCK_MONOTONIC. */
export interface Moments {
  /** The serving thread had the table: whoever asked for what is not in it was refused. */
  readonly deniedAt: bigint;
  /** The kernel had forgotten what is not in it. */
  readonly effectAt: bigint;
}

/** What was withdrawn since it was last asked for. */
export interface Withdrawn {
  readonly versions: readonly TargetPath[];
  /** Versions beyond those that are listed. */
  readonly more: number;
  /** Files whose cached pages the kernel was told to forget. */
  readonly mappings: number;
}

const NOTHING_WITHDRAWN: Withdrawn = { versions: [], more: 0, mappings: 0 };

export class Effects {
  readonly #clock: Clock;
  #last: readonly Effect[] = [];
  #receivedAt: bigint;
  #deniedAt: bigint;
  #effectAt: bigint;
  #withdrawn: Withdrawn = NOTHING_WITHDRAWN;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#receivedAt = clock.monotonic();
    this.#deniedAt = this.#effectAt = this.#receivedAt;
  }

  /** Of the table that was shown last. */
  get moments(): Moments {
    return { deniedAt: this.#deniedAt, effectAt: this.#effectAt };
  }

  get last(): readonly Effect[] {
    return this.#last;
  }

  /** News came at that moment: what is shown next follows from it. */
  received(at: bigint): void {
    this.#receivedAt = at;
  }

  /** The serving thread has the table that is about to be in effect. */
  denied(): void {
    this.#deniedAt = this.#clock.monotonic();
  }

  /** A file's pages are to be forgotten. */
  invalidated(): void {
    this.#withdrawn = { ...this.#withdrawn, mappings: this.#withdrawn.mappings + 1 };
  }

  takeWithdrawn(): Withdrawn {
    const withdrawn = this.#withdrawn;
    this.#withdrawn = NOTHING_WITHDRAWN;
    return withdrawn;
  }

  /** `next` is in effect. */
  shown(old: Table, next: Table): void {
    const effectAt = this.#clock.monotonic();
    this.#effectAt = effectAt;
    const before = states(old);
    const after = states(next);
    const note = (version: TargetPath, change: Effect['change']): Effect => ({
      version,
      change,
      receivedAt: this.#receivedAt,
      effectAt,
    });
    const gone = [...before.keys()].filter((path) => !after.has(path)).map((path) => note(path, 'withdrawn'));
    const changed = [...after]
      .filter(([path, named]) => before.get(path) !== named)
      .map(([path, named]) => note(path, named ? 'shown' : 'superseded'));
    this.#last = [...this.#last, ...gone, ...changed].slice(-MOST);
    this.#withdraw(gone.map(({ version }) => version));
  }

  #withdraw(gone: readonly TargetPath[]): void {
    const { versions, more, mappings } = this.#withdrawn;
    const all = [...versions, ...gone];
    const listed = all.slice(0, LIMITS.withdrawnPerReceipt);
    this.#withdrawn = { versions: listed, more: more + all.length - listed.length, mappings };
  }
}

/** Each version in the table, and whether it bears a name. */
function states(table: Table): ReadonlyMap<TargetPath, boolean> {
  return new Map(table.files.map((file) => [file.path, file.named]));
}
