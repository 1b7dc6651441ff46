// How many trials of drills this host takes part in, a day of UTC. What is counted outlives restarts; when it cannot be read
// or written, the cap counts as reached. An order is counted once, whole, before its first trial.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../client/clock.ts';
import { parseJson } from '../../manifest/json.ts';
import { integer, object, string } from '../../manifest/shape.ts';
import { writeWhole } from '../host/whole-file.ts';
import type { Log } from '../log.ts';

const FILE = 'drills.json';
const MOST_BYTES = 1024;

interface Count {
  /** `2026-01-31` */
  readonly day: string;
  readonly trials: number;
  /** The order that was counted last. */
  readonly order: string;
}

const NOTHING: Count = { day: '', trials: 0, order: '' };

export class DailyCap {
  readonly #state: string;
  readonly #most: number;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Undefined: nobody knows. */
  #count: Count | undefined;

  private constructor(state: string, most: number, clock: Clock, log: Log, count: Count | undefined) {
    this.#state = state;
    this.#most = most;
    this.#clock = clock;
    this.#log = log;
    this.#count = count;
  }

  /** In the state directory. */
  static async open(state: string, most: number, clock: Clock, log: Log): Promise<DailyCap> {
    const count = await read(join(state, FILE)).catch((error: unknown) => {
      log.error(`drills: ${FILE} cannot be read, so the cap counts as reached: ${(error as Error).message}`);
      return undefined;
    });
    return new DailyCap(state, most, clock, log, count);
  }

  /** Trials that were counted today. */
  get today(): number {
    return this.#count === undefined ? this.#most : this.#current(this.#count).trials;
  }

  /** Whether an order of so many trials may begin; then they are counted, unless they were. */
  async take(order: string, trials: number): Promise<boolean> {
    if (this.#count === undefined) return false;
    if (this.#count.order === order) return true;
    const { day, trials: before } = this.#current(this.#count);
    if (before + trials > this.#most) return false;
    const count = { day, trials: before + trials, order };
    try {
      await writeWhole(this.#state, FILE, Buffer.from(JSON.stringify(count)));
    } catch (error) {
      this.#log.error(`drills: ${FILE} cannot be written: ${(error as Error).message}`);
      return false;
    }
    this.#count = count;
    return true;
  }

  /** A wall clock that was set back begins no new day. */
  #current(count: Count): Count {
    const day = new Date(this.#clock.now()).toISOString().slice(0, 10);
    return day > count.day ? { ...count, day, trials: 0 } : count;
  }
}

async function read(path: string): Promise<Count> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return NOTHING;
    throw error;
  }
  const raw = object(parseJson(bytes, MOST_BYTES), FILE);
  const day = string(raw['day'], 'day');
  if (!/^\d{4}-\d\d-\d\d$/.test(day)) throw new RangeError('day: a date expected');
  return { day, trials: integer(raw['trials'], 'trials'), order: string(raw['order'], 'order') };
}
