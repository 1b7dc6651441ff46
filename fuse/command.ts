/**
 * Runs a program to its end, without a shell and with bounded memory. The signal is the deadline: when it fires, the
 * child is killed and no longer waited for, since a child that is stuck inside a mount may not even die.
 */
import { spawn } from 'node:child_process';
import { FuseError } from './errors.ts';

const MAX_DIAGNOSTICS = 4096;

export interface Ending {
  /** Null when it could not be started, or a signal ended it. */
  readonly status: number | null;
  /** What it wrote to standard error, or why it did not start. */
  readonly diagnostics: string;
}

export interface RunOptions {
  readonly signal: AbortSignal;
  /** A descriptor that the program gets as number 3. */
  readonly inherit?: number;
}

export function run(
  program: string,
  parameters: readonly string[],
  { signal, inherit }: RunOptions,
): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, parameters, {
      stdio: ['ignore', 'ignore', 'pipe', inherit ?? 'ignore'],
      env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
      signal,
      killSignal: 'SIGKILL',
    });
    let diagnostics = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      diagnostics = (diagnostics + text).slice(0, MAX_DIAGNOSTICS);
    });
    child.once('close', (status) => resolve({ status, diagnostics: diagnostics.trim() }));
    child.once('error', (cause) => {
      if (signal.aborted) {
        child.stderr?.destroy();
        child.unref();
        reject(new FuseError('deadline', `${program} did not end in time`, { cause }));
      } else {
        resolve({ status: null, diagnostics: cause.message });
      }
    });
  });
}
