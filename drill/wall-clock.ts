// Moves the wall clock of a lapsed by what a file says, in milliseconds, read each time: whoever writes it steps the clock
// while everything runs. Both of its threads have it, when the serving thread is the one that is named here.
import { openSync, readSync } from 'node:fs';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

export const SERVING_THREAD = new URL('./serving-thread.ts', import.meta.url);

const FILE = 'wall-clock';

/** In the main thread, before the other one is started. */
export function moveWallClocks(path: string): void {
  setEnvironmentData(FILE, path);
  moveWallClock();
}

/** In a thread that was started after that. */
export function moveWallClock(): void {
  const file = openSync(getEnvironmentData(FILE) as string, 'r');
  const text = Buffer.alloc(20);
  const real = Date.now;
  Date.now = () => real() + Number(text.toString('latin1', 0, readSync(file, text, 0, text.length, 0)));
}
