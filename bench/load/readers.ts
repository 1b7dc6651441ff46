// A workload's process that reads: starts it, passes on what it reports, and keeps what cannot be judged yet. It has
// to end when it is told to, whatever the file system does.
import { setTimeout as sleep } from 'node:timers/promises';
import { Guest } from '../guest.ts';
import { parseAttempts } from './attempts.ts';
import type { Attempt } from './attempts.ts';
import { now } from './certainty.ts';
import type { Workload } from './world.ts';

const END_MS = 5000;

export class Reader implements AsyncDisposable {
  readonly guest: Guest;
  readonly workload: Workload;
  #waiting: Attempt[] = [];
  #first = 0;
  #rest: Buffer = Buffer.alloc(0);
  #heardAt = now();
  readonly #begun = Promise.withResolvers<undefined>();

  constructor(workload: Workload, command: readonly string[], seen: (attempt: Attempt) => void) {
    this.workload = workload;
    this.guest = new Guest(workload.name, command);
    this.guest.stdout.on('data', (chunk: Buffer) => {
      const { attempts, rest } = parseAttempts(Buffer.concat([this.#rest, chunk]));
      this.#rest = rest;
      this.#heardAt = now();
      this.#begun.resolve(undefined);
      for (const attempt of attempts) {
        this.#waiting.push(attempt);
        seen(attempt);
      }
    });
  }

  /** When it was heard of for the first time: it is in its group by then. */
  get begun(): Promise<undefined> {
    return this.#begun.promise;
  }

  /** Seconds since it was last heard of. */
  get silence(): number {
    return (now() - this.#heardAt) / 1e9;
  }

  /** Takes those that ended before. */
  take(before: number): readonly Attempt[] {
    const from = this.#first;
    while ((this.#waiting[this.#first]?.end ?? Infinity) < before) this.#first += 1;
    const taken = this.#waiting.slice(from, this.#first);
    if (this.#first > 4096) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return taken;
  }

  /** False when it is stuck. */
  async end(): Promise<boolean> {
    this.guest.stdin.end();
    return Promise.race([this.guest.ended.then(() => true), sleep(END_MS, false, { ref: false })]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest[Symbol.asyncDispose]();
  }
}
