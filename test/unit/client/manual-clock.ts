// A clock that stands still until a test moves it. Wall time and boot time can be moved apart.
import type { Clock } from '../../../client/clock.ts';

interface Timer {
  due: number;
  readonly every?: number;
  readonly work: () => void;
}

export class ManualClock implements Clock {
  wall: number;
  #boot = 1_000_000;
  readonly #timers = new Set<Timer>();

  constructor(wall = Date.UTC(2026, 0, 31, 12)) {
    this.wall = wall;
  }

  /** Moves wall and boot time, and runs what is due on the way. */
  advance(ms: number): void {
    this.wall += ms;
    this.passBoot(ms);
  }

  /** Moves boot time alone: the wall clock was set back meanwhile. */
  passBoot(ms: number): void {
    const end = this.#boot + ms;
    for (let next = this.#nextBy(end); next; next = this.#nextBy(end)) {
      this.#boot = next.due;
      if (next.every === undefined) this.#timers.delete(next);
      else next.due += next.every;
      next.work();
    }
    this.#boot = end;
  }

  /** How many sleeps, deadlines and intervals are pending. */
  get pending(): number {
    return this.#timers.size;
  }

  now = (): number => this.wall;
  boot = (): number => this.#boot;
  monotonic = (): bigint => BigInt(this.#boot) * 1_000_000n;
  sinceStart = (): number => 0;

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const timer = this.#add({ due: this.#boot + ms, work: resolve });
      signal?.addEventListener('abort', () => {
        this.#timers.delete(timer);
        resolve();
      });
    });

  deadline = (ms: number): AbortSignal => {
    const controller = new AbortController();
    this.#add({ due: this.#boot + ms, work: () => controller.abort() });
    return controller.signal;
  };

  every = (ms: number, work: () => void): Disposable => {
    const timer = this.#add({ due: this.#boot + ms, every: ms, work });
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  };

  #add(timer: Timer): Timer {
    this.#timers.add(timer);
    return timer;
  }

  #nextBy(end: number): Timer | undefined {
    const [next] = [...this.#timers].sort((a, b) => a.due - b.due);
    return next && next.due <= end ? next : undefined;
  }
}
