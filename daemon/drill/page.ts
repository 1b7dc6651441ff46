// The page of a drill's probe: 4096 bytes of shared memory in which the probe keeps what it saw, and finds its orders. Read and
// written by position, so it outlives this process, and works inside a container through an inherited descriptor. Whoever is
// in there with the probe may write anything into it: numbers that make no sense are refused, and nothing else is taken from
// it, no name and no process to end.
//
// All fields are 64 bits, little endian (probe.c holds the same as structures):
//
//   0 magic   8 layout   16 pid, once it runs   24 rounds   32 events of inotify
//   by the daemon: 40 until   48 effect   56 hash of the old value   64 trial   72 whether to hold on
//   256 + 576 × way:  0 count; the slot count % 2 is whole, the other one is being written    64, 320 slots
//   in a slot:  0 trial   8 effect   16 late   24 attempts after   32 start of the last refusal   40 errno
//               48 the current value   120 the one before it
//   in a value: 0 hash   8 attempts   16 reads   24, 32 first read   40, 48 last read   56, 64 first refusal after it
import { closeSync, constants, fstatSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { WAYS } from '../../manifest/realm/drill/statement.ts';
import type { Way } from '../../manifest/realm/drill/statement.ts';
import { DaemonError } from '../errors.ts';

const PAGE_BYTES = 4096;
const MAGIC = Buffer.from('lapprobe').readBigUInt64LE();
const LAYOUT = 1n;
const HEADER = { magic: 0, layout: 8, pid: 16, rounds: 24, told: 32 } as const;
const ORDERS = { until: 40, effect: 48, hash: 56, trial: 64, holding: 72 } as const;
const WAY = { first: 256, bytes: 576, slots: [64, 320] } as const;
const SLOT = { trial: 0, effect: 8, late: 16, after: 24, lastRefused: 32, errno: 40 } as const;
const VALUES = { current: 48, previous: 120, end: 192 } as const;
const VALUE = { hash: 0, attempts: 8, reads: 16, first: 24, last: 40, refused: 56 } as const;

/** A slot is overwritten after the next but one attempt: meeting that so often in a row is no accident. */
const MOST_TRIES = 200;

/** Nanoseconds of CLOCK_MONOTONIC: when something began and had ended. */
export interface Span {
  readonly start: bigint;
  readonly end: bigint;
}

/** A value, known by the FNV-1a hash of its bytes, and what became of reading it. */
export interface ValueSeen {
  readonly hash: bigint;
  /** From its first read to that of the next one. */
  readonly attempts: number;
  readonly reads: number;
  readonly firstRead: Span;
  readonly lastRead: Span;
  /** The first refusal after the last read. */
  readonly refused?: Span;
}

export interface WaySeen {
  /** Which trial, and which effect of it (0: none), the counts are of. */
  readonly trial: number;
  readonly effect: bigint;
  /** Reads of the trial's old value that began after the effect, and attempts that did. */
  readonly late: number;
  readonly attemptsAfter: number;
  /** Whether the last attempt was refused, and when that one began. */
  readonly isRefused: boolean;
  readonly lastRefused: bigint;
  /** Of the last refusal in this trial: an errno, or 1000 for SIGBUS. */
  readonly errno: number;
  readonly current?: ValueSeen;
  readonly previous?: ValueSeen;
}

export class Page implements Disposable {
  readonly #descriptor: number;
  readonly #whole = [Buffer.alloc(PAGE_BYTES), Buffer.alloc(PAGE_BYTES), Buffer.alloc(PAGE_BYTES)] as const;
  readonly #number = Buffer.alloc(8);

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** A fresh one, in the place of any other. `until` in nanoseconds of CLOCK_MONOTONIC. @throws DaemonError probe-failed */
  static create(path: string, until: bigint): Page {
    return attempt(path, () => {
      rmSync(path, { force: true });
      const page = new Page(openSync(path, 'wx+', 0o600));
      const bytes = Buffer.alloc(PAGE_BYTES);
      bytes.writeBigUInt64LE(MAGIC, HEADER.magic);
      bytes.writeBigUInt64LE(LAYOUT, HEADER.layout);
      bytes.writeBigUInt64LE(until, ORDERS.until);
      writeSync(page.#descriptor, bytes, 0, PAGE_BYTES, 0);
      return page;
    });
  }

  /** That of a probe which an earlier server started. @throws DaemonError probe-failed */
  static open(path: string): Page {
    const page = attempt(path, () => new Page(openSync(path, constants.O_RDWR | constants.O_NOFOLLOW)));
    try {
      if (fstatSync(page.#descriptor).size !== PAGE_BYTES) throw nonsense('it has another size');
      if (page.#get(HEADER.magic) !== MAGIC) throw nonsense('it is none');
      if (page.#get(HEADER.layout) !== LAYOUT) throw nonsense('it is of another release');
      return page;
    } catch (error) {
      page[Symbol.dispose]();
      throw error;
    }
  }

  /** What the probe inherits. */
  get descriptor(): number {
    return this.#descriptor;
  }

  /** How often the probe has gone round, and how many events inotify gave it; undefined before it runs. */
  pulse(): { readonly rounds: bigint; readonly told: bigint } | undefined {
    if (this.#get(HEADER.pid) === 0n) return undefined;
    return { rounds: this.#get(HEADER.rounds), told: this.#get(HEADER.told) };
  }

  /**
   * Each way by itself, at one moment. Read three times: a slot that the count named before and after was whole meanwhile.
   * @throws DaemonError probe-failed, for what no probe writes
   */
  read(): Readonly<Record<Way, WaySeen>> {
    const seen = new Map<Way, WaySeen>();
    const between = this.#whole[1];
    let [before, , after] = this.#whole;
    this.#fill(before, 0);
    for (let tries = 0; seen.size < WAYS.length; tries += 1) {
      if (tries === MOST_TRIES) throw nonsense('it never stands still');
      this.#fill(between, 0);
      this.#fill(after, 0);
      for (const [index, way] of WAYS.entries()) {
        const at = WAY.first + WAY.bytes * index;
        const count = before.readBigUInt64LE(at);
        if (seen.has(way) || after.readBigUInt64LE(at) !== count) continue;
        const slot = at + (count % 2n === 0n ? WAY.slots[0] : WAY.slots[1]);
        seen.set(way, readWay(between.subarray(slot, slot + VALUES.end)));
      }
      [before, after] = [after, before];
    }
    return Object.fromEntries(seen) as Record<Way, WaySeen>;
  }

  /** What the counts have to be of: see WaySeen. */
  orders(): Pick<WaySeen, 'trial' | 'effect'> {
    return { trial: Number(this.#get(ORDERS.trial)), effect: this.#get(ORDERS.effect) };
  }

  /** Counts begin anew, and are of this value. What is held is held on to, as long as it can be read. */
  arm(trial: number, hash: bigint): void {
    this.#set(ORDERS.holding, 1n);
    this.#set(ORDERS.effect, 0n);
    this.#set(ORDERS.hash, hash);
    // Last: it is what the probe looks for.
    this.#set(ORDERS.trial, BigInt(trial));
  }

  /** The old value must not be read by who begins later. */
  effect(at: bigint): void {
    this.#set(ORDERS.effect, at);
  }

  /** What is held of another version than the name leads to is let go. */
  letGo(): void {
    this.#set(ORDERS.holding, 0n);
  }

  /** The probe ends by itself then; 0: now. */
  until(at: bigint): void {
    this.#set(ORDERS.until, at);
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }

  #get(at: number): bigint {
    this.#fill(this.#number, at);
    return this.#number.readBigUInt64LE();
  }

  #fill(into: Buffer, at: number): void {
    if (readSync(this.#descriptor, into, 0, into.length, at) < into.length)
      throw nonsense('it was cut short');
  }

  #set(at: number, value: bigint): void {
    this.#number.writeBigUInt64LE(value);
    writeSync(this.#descriptor, this.#number, 0, 8, at);
  }
}

function readWay(block: Buffer): WaySeen {
  const current = readValue(block.subarray(VALUES.current, VALUES.previous));
  const previous = readValue(block.subarray(VALUES.previous, VALUES.end));
  return {
    trial: count(block, SLOT.trial),
    effect: block.readBigUInt64LE(SLOT.effect),
    late: count(block, SLOT.late),
    attemptsAfter: count(block, SLOT.after),
    isRefused: block.readBigUInt64LE(VALUES.current + VALUE.refused) !== 0n,
    lastRefused: block.readBigUInt64LE(SLOT.lastRefused),
    errno: count(block, SLOT.errno),
    ...(current && { current }),
    ...(previous && { previous }),
  };
}

function readValue(block: Buffer): ValueSeen | undefined {
  const hash = block.readBigUInt64LE(VALUE.hash);
  if (hash === 0n) return undefined;
  const refused = span(block, VALUE.refused);
  return {
    hash,
    attempts: count(block, VALUE.attempts),
    reads: count(block, VALUE.reads),
    firstRead: span(block, VALUE.first),
    lastRead: span(block, VALUE.last),
    ...(refused.start !== 0n && { refused }),
  };
}

function span(block: Buffer, at: number): Span {
  return { start: moment(block, at), end: moment(block, at + 8) };
}

function moment(block: Buffer, at: number): bigint {
  const nanoseconds = block.readBigUInt64LE(at);
  if (nanoseconds > BigInt(Number.MAX_SAFE_INTEGER) * 1000n) throw nonsense('a moment that never comes');
  return nanoseconds;
}

function count(block: Buffer, at: number): number {
  const number = block.readBigUInt64LE(at);
  if (number > BigInt(Number.MAX_SAFE_INTEGER)) throw nonsense('a number that nobody can count to');
  return Number(number);
}

function nonsense(why: string, cause?: unknown): DaemonError {
  return new DaemonError('probe-failed', `the page of the probe: ${why}`, { cause });
}

function attempt<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw nonsense(`${path} cannot be used`, cause);
  }
}
