// `lapse shell`: one process with many commands, for an hour of work or an incident: the program starts once, identities
// are unlocked once, and the realm is at hand. Lines come from a terminal with a prompt, or else from standard input.
import { createInterface } from 'node:readline/promises';
import { isLapseError } from '../../../manifest/errors.ts';
import type { Clock } from '../../clock.ts';
import type { Context, Register } from '../command.ts';
import type { Identities } from '../identities.ts';
import { interruptible } from '../interrupt.ts';
import { EXIT, Output } from '../output.ts';
import type { Streams } from '../output.ts';
import type { RealmDirectory } from '../realm-directory.ts';
import { splitWords } from '../words.ts';

/** What the commands of one shell share, in the place of the global options. */
export interface Surroundings {
  readonly directory: RealmDirectory;
  readonly identities: Identities;
  readonly clock: Clock;
  readonly unbroken: Clock;
  readonly signal: AbortSignal;
  readonly json: boolean;
  readonly streams: Streams;
}

/** Runs one command of the shell; never rejects. The exit code comes back. */
export type Evaluate = (words: readonly string[], surroundings: Surroundings) => Promise<number>;

const PROMPT = 'lapse> ';

export function registerShell(evaluate: Evaluate): Register {
  return (program, run) =>
    void program
      .command('shell')
      .summary('many commands in one process')
      .description(
        'Reads commands line by line, from the terminal or from standard input. Identities are unlocked once.',
      )
      .addHelpText(
        'after',
        `
Lines are the arguments of lapse; words may be quoted, # begins a comment, exit ends. The value of a
secret is asked for, or comes from --file. A command that fails is followed by [exit N]; with --json each
command gives one line, {"exit": N, "result": …} or {"exit": N, "error": …}. Ctrl-C breaks off a command.
The exit code is the last command's.

  lapse shell
  printf '%s\\n' 'secret list' 'status' | lapse --json shell`,
      )
      .action(() => run((context) => shell(context, evaluate)));
}

async function shell(context: Context, evaluate: Evaluate): Promise<void> {
  await context.identities.prefetch();
  const lines = process.stdin.isTTY ? promptedLines() : createInterface({ input: process.stdin });
  let exit: number = EXIT.ok;
  for await (const line of lines) {
    const words = split(line);
    if (words instanceof Error || words.length > 0) {
      if (!(words instanceof Error) && words[0] === 'exit') break;
      exit = await evaluateLine(words, context, evaluate);
    }
  }
  process.exitCode = exit;
}

/** The words, or why there are none. Whoever pastes from the documentation is understood. */
function split(line: string): readonly string[] | Error {
  try {
    const words = splitWords(line);
    return words[0] === 'lapse' ? words.slice(1) : words;
  } catch (error) {
    if (isLapseError(error)) return error;
    throw error;
  }
}

/** A line at a time, so that the terminal belongs to the command while it runs. Ctrl-C drops what was typed. */
async function* promptedLines(): AsyncGenerator<string> {
  let history: string[] = [];
  for (;;) {
    using terminal = createInterface({ input: process.stdin, output: process.stderr, history });
    const line = await new Promise<string | undefined>((resolve) => {
      terminal.once('close', () => resolve(undefined));
      terminal.on('SIGINT', () => {
        process.stderr.write('\n');
        resolve('');
      });
      terminal.on('history', (lines: string[]) => (history = lines));
      void terminal.question(PROMPT).then(resolve, () => resolve(undefined));
    });
    if (line === undefined) return;
    terminal.close();
    yield line;
  }
}

async function evaluateLine(
  words: readonly string[] | Error,
  { directory, identities, clock, output }: Context,
  evaluate: Evaluate,
): Promise<number> {
  const json = output.isJson;
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  process.on('SIGINT', onInterrupt);
  const collected = new Collected();
  try {
    const { signal } = interrupt;
    const surroundings: Surroundings = {
      directory,
      identities,
      clock: interruptible(clock, signal),
      unbroken: clock,
      signal,
      json,
      streams: json ? collected : process,
    };
    const exit =
      words instanceof Error
        ? new Output(json, surroundings.streams).failure(words)
        : await evaluate(words, surroundings);
    // A command that was only waiting says more with its own code.
    const code = signal.aborted && exit === EXIT.failed ? EXIT.interrupted : exit;
    if (json) process.stdout.write(collected.document(code));
    else if (code !== EXIT.ok) process.stderr.write(`[exit ${code}]\n`);
    return code;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

/** What one command says with --json, to be made one document. */
class Collected implements Streams {
  #out = '';
  #err = '';
  readonly stdout = { write: (text: string): void => void (this.#out += text) };
  readonly stderr = { write: (text: string): void => void (this.#err += text) };

  document(exit: number): string {
    const result = parsed(this.#out);
    if (result !== undefined) return `${JSON.stringify({ exit, result })}\n`;
    const failure = parsed(this.#err) as { error?: unknown } | undefined;
    const error = failure?.error ?? { code: 'usage', message: `${this.#out}${this.#err}`.trim() };
    return `${JSON.stringify(exit === EXIT.ok ? { exit, result: this.#out } : { exit, error })}\n`;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
