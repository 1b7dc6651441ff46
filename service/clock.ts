// The one place in service/ that asks for the time or sets a timer; everything else is handed a Clock, so that a
// test can move it. Timers never keep the process alive.

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `tick` every so many milliseconds until disposed of. */
  every(milliseconds: number, tick: () => void): Disposable;
  sleep(milliseconds: number): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  every(milliseconds, tick) {
    const timer = setInterval(tick, milliseconds).unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  },
  sleep: (milliseconds) => new Promise((resolve) => void setTimeout(resolve, milliseconds).unref()),
};
