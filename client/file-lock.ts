// One process at a time, by SQLite's lock on an empty file: the system keeps it for the process that holds it, so it ends
// with that process, however it ends. A file that merely exists would outlive a crash. Whoever waits asks again and again,
// since a lock of the system cannot be waited for without blocking the thread.
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { systemClock } from './clock.ts';

const PAUSE_MS = 5;
const SQLITE_BUSY = 5;

const clock = systemClock();

/**
 * Does the work while no other process, and nobody else in this one, does any under the same lock.
 * @param path a file of its own, which is made when it is missing
 * @throws Error when it was not free within `patienceMs`; what the work throws; system errors of the file
 */
export async function alone<T>(path: string, patienceMs: number, work: () => Promise<T>): Promise<T> {
  // SQLite would make it with the umask's mode.
  closeSync(openSync(path, 'a', 0o600));
  using database = new DatabaseSync(path, { timeout: 0 });
  const late = clock.boot() + patienceMs;
  while (!isTaken(database)) {
    if (clock.boot() > late) throw new Error(`${path} has been locked for ${patienceMs} ms`);
    await clock.sleep(PAUSE_MS);
  }
  return await work();
}

function isTaken(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if ((error as { readonly errcode?: number }).errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
