// What every command file needs of the command line: where the realm is, how to print, the clock; and the wrapper
// that turns an error into an exit code.
import type { Command } from 'commander';
import type { Clock } from '../clock.ts';
import type { Output } from './output.ts';
import type { RealmDirectory } from './realm-directory.ts';

export interface Context {
  readonly clock: Clock;
  readonly output: Output;
  readonly directory: RealmDirectory;
}

/** Registers one command. `run` makes the context from the global options and reports what `work` throws. */
export type Register = (program: Command, run: Run) => void;
export type Run = (work: (context: Context) => Promise<void>) => Promise<void>;
