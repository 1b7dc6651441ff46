// Becomes the holder (fuse/hold/hold.sh), which keeps the device and starts the daemon under itself, again after a crash,
// and the next one beside it on SIGHUP. The process stays the same one, so whoever started it supervises the holder.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from './config.ts';
import { makeRunDirectory } from './engine/places.ts';
import { DaemonError } from './errors.ts';

const HOLDER = fileURLToPath(new URL('../fuse/hold/hold.sh', import.meta.url));
/** Milliseconds that a server has until it is ready. */
const START_MS = 15_000;

/** `command` is a server's, without its phase. Does not return. @throws DaemonError holder-failed */
export function hold(config: Config, command: readonly string[]): never {
  try {
    const run = makeRunDirectory(config.control);
    process.execve?.(
      '/bin/bash',
      [
        'bash',
        HOLDER,
        run,
        String(config.deadAfterMs),
        String(START_MS),
        process.execPath,
        ...process.execArgv,
        ...command,
      ],
      // Half of a server's start is compiling: the next one finds that done, where only its owner enters and on tmpfs.
      { ...process.env, NODE_COMPILE_CACHE: join(run, 'compiled') },
    );
  } catch (cause) {
    throw new DaemonError('holder-failed', 'cannot start the holder; is bash installed?', { cause });
  }
  throw new DaemonError('holder-failed', 'this Node cannot become the holder; 24 or later is needed');
}
