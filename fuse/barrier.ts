/**
 * Waits until the serving thread has taken one more request, and so has seen every message that was posted before: the
 * kernel must ask it about a name that nobody asked for yet. True when a server answered, whatever it said; false when
 * the mount has none any more. Not for the serving thread, and it waits as long as the server hangs.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from './errors.ts';

const UNSERVED: ReadonlySet<string | undefined> = new Set(['ENOTCONN', 'ECONNABORTED', 'ENODEV']);

let asked = 0;

export async function barrier(directory: string): Promise<boolean> {
  asked += 1;
  try {
    await stat(join(directory, `.barrier-${process.pid}-${asked}`));
    return true;
  } catch (error) {
    return !UNSERVED.has(systemCode(error));
  }
}
