// Runs the operator's command against a drill's realm, as a person would: its progress goes to the terminal, its result comes
// back. Ctrl-C is passed on, and the command gets the time to end in order; a terminal's own never reaches it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../client/clock.ts';
import { on } from '../demo/cpus.ts';
import type { Places } from '../demo/programs.ts';

const LAPSE = fileURLToPath(new URL('../bin/lapse', import.meta.url));
/** How long it may take to end after Ctrl-C, in milliseconds. */
const END_MS = 15_000;

export interface CommandOptions {
  readonly input?: Uint8Array;
  /** What it says while it works goes to this terminal. */
  readonly shown?: boolean;
  readonly signal: AbortSignal;
}

export interface Outcome {
  readonly code: number | null;
  /** The one JSON document that it printed, if it did. */
  readonly json: unknown;
  /** What it said while it worked, unless that was shown. */
  readonly said: string;
}

export async function lapse(
  places: Places,
  clock: Clock,
  args: readonly string[],
  { input, shown = false, signal }: CommandOptions,
): Promise<Outcome> {
  signal.throwIfAborted();
  const [program, ...rest] = on(places.cpus.others, [LAPSE, '--json', '--realm', places.operator, ...args]);
  // A terminal is handed on as it is, so that the command can draw on it.
  const stderr = shown ? 'inherit' : 'pipe';
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', stderr], detached: true });
  const interrupt = (): void => {
    child.kill('SIGINT');
    clock.deadline(END_MS).addEventListener('abort', () => child.kill('SIGKILL'));
  };
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    child.stdin?.end(input);
    const [out, said] = await Promise.all([
      child.stdout ? text(child.stdout) : '',
      child.stderr ? text(child.stderr) : '',
      once(child, 'exit'),
    ]);
    return { code: child.exitCode, json: out.trim() === '' ? undefined : JSON.parse(out), said: said.trim() };
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}
