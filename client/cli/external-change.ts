// Runs the operator's own command that makes a new value known where it is used, a database say. The value goes to its
// standard input and nowhere else; what it prints goes to standard error. It has a bounded time; when that is over, or on
// Ctrl-C, its whole process group ends.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Clock } from '../clock.ts';
import { ClientError } from '../errors.ts';
import { onInterrupt } from './interrupt.ts';

/** Between SIGTERM and SIGKILL, in milliseconds. */
const GRACE_MS = 2000;

/** Whether it was begun at all: what never ran has changed nothing. */
export class ExternalFailure extends ClientError {
  readonly hasRun: boolean;

  constructor(message: string, hasRun: boolean) {
    super('exec-failed', message);
    this.hasRun = hasRun;
  }
}

/** Resolves when the command exits 0. @throws ExternalFailure */
export async function changeOutside(
  [command = '', ...words]: readonly string[],
  value: Uint8Array,
  timeoutMs: number,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  // A group of its own, so that it can be ended whole.
  const child = spawn(command, words, { stdio: ['pipe', 2, 2], detached: true });
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  using interrupt = onInterrupt(signal);
  const done = new AbortController();
  const late = clock.deadline(timeoutMs);
  const end = AbortSignal.any([late, interrupt.signal]);
  end.addEventListener('abort', () => void endGroup(child, clock, done.signal));
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(value);
  try {
    const [code, by] = await ended;
    if (code === 0) return;
    if (late.aborted) throw new ExternalFailure(`${command} did not end within ${timeoutMs / 1000} s`, true);
    if (end.aborted) throw new ExternalFailure(`${command} was broken off`, true);
    throw new ExternalFailure(`${command} failed: ${by ?? `exit code ${String(code)}`}`, true);
  } catch (cause) {
    if (cause instanceof ExternalFailure) throw cause;
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    throw new ExternalFailure(`${command} cannot be run: ${code}`, false);
  } finally {
    done.abort();
  }
}

async function endGroup(child: ChildProcess, clock: Clock, gone: AbortSignal): Promise<void> {
  signalGroup(child, 'SIGTERM');
  await clock.sleep(GRACE_MS, gone);
  signalGroup(child, 'SIGKILL');
}

function signalGroup({ pid, exitCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined || (exitCode !== null && signal === 'SIGTERM')) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody of the group is left.
  }
}
