// What every command file needs of the command line: where the realm is, who is at hand, how to print, the clock; and the
// wrapper that turns an error into an exit code.
import type { Command } from 'commander';
import type { Clock } from '../clock.ts';
import type { Identities } from './identities.ts';
import type { Output } from './output.ts';
import type { RealmDirectory } from './realm-directory.ts';

export interface Context {
  readonly clock: Clock;
  /** The clock whose deadlines and sleeps no Ctrl-C ends: to tidy up by. */
  readonly unbroken: Clock;
  readonly output: Output;
  readonly directory: RealmDirectory;
  readonly identities: Identities;
  /** Whose standard input is: the command's, or the shell's, which reads commands from it. */
  readonly input: 'command' | 'shell';
  /** Aborts on Ctrl-C in the shell; so do the clock's deadlines and sleeps. */
  readonly signal: AbortSignal;
}

/** Registers one command. `run` makes the context from the global options and reports what `work` throws. */
export type Register = (program: Command, run: Run) => void;
export type Run = (work: (context: Context) => Promise<void>) => Promise<void>;
