// The operator's command `lapse`. One file a command; here they meet the global options, the clock and the exit code.
import { Command, CommanderError } from 'commander';
import { systemClock } from '../clock.ts';
import type { Register, Run } from './command.ts';
import { registerCompletion } from './commands/completion.ts';
import { registerDrill } from './commands/drill.ts';
import { registerFleet } from './commands/fleet.ts';
import { registerFollow } from './commands/follow.ts';
import { registerGrant } from './commands/grant.ts';
import { registerHost } from './commands/host.ts';
import { registerIdentity } from './commands/identity.ts';
import { registerInit } from './commands/init.ts';
import { registerLock } from './commands/lock.ts';
import { registerNamespace } from './commands/namespace.ts';
import { registerPending } from './commands/pending.ts';
import { registerPool } from './commands/pool.ts';
import { registerReceipts } from './commands/receipts.ts';
import { registerRenew } from './commands/renew.ts';
import { registerRevoke } from './commands/revoke.ts';
import { registerRoot } from './commands/root.ts';
import { registerRotate } from './commands/rotate.ts';
import { registerSecret } from './commands/secret.ts';
import { registerSign } from './commands/sign.ts';
import { registerShell } from './commands/shell.ts';
import type { Surroundings } from './commands/shell.ts';
import { registerStatus } from './commands/status.ts';
import { registerUnlock } from './commands/unlock.ts';
import { Identities } from './identities.ts';
import { collect } from './options.ts';
import { EXIT, Output } from './output.ts';
import { Passphrases, parseDescriptor } from './passphrase.ts';
import { RealmDirectory } from './realm-directory.ts';
import { version } from './version.ts';

const COMMANDS: readonly Register[] = [
  registerInit,
  registerFollow,
  registerIdentity,
  registerUnlock,
  registerLock,
  registerNamespace,
  registerSecret,
  registerRotate,
  registerGrant,
  registerRevoke,
  registerPending,
  registerSign,
  registerReceipts,
  registerDrill,
  registerHost,
  registerPool,
  registerFleet,
  registerRenew,
  registerRoot,
  registerStatus,
  registerCompletion,
];

interface GlobalOptions {
  readonly realm?: string;
  readonly identity?: readonly string[];
  readonly passphraseFd?: string;
  readonly json?: boolean;
}

function newProgram(): Command {
  return new Command('lapse')
    .description('Secrets for containers, as files that exist only in memory and are taken back on time.')
    .showHelpAfterError('(lapse --help shows what there is)')
    .exitOverride();
}

function withGlobalOptions(program: Command): Command {
  return program
    .version(version)
    .option('--realm <dir>', "the operator's directory (default: LAPSE_REALM, else ~/.config/lapse)")
    .option('--identity <file>', 'an identity that is kept elsewhere (repeatable)', collect)
    .option(
      '--passphrase-fd <number>',
      'read the passphrase from that descriptor, to the end of its first line',
    )
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
The way of a secret:
  lapse init --service http://127.0.0.1:7700
  lapse unlock
  lapse namespace add payments
  printf %s "hunter2" | lapse secret put payments/db-password --grant web
  lapse rotate payments/db-password --generate 32
  lapse revoke payments/db-password

Exit codes: 0 done, and confirmed by every host; 1 refused or failed, with a stable code in brackets; 2 wrong
usage, or not confirmed; 3 published, a host is unconfirmed and its lease is over; 4 signatures of others are
missing, and the change waits for them; 5 published, a host is unconfirmed and may still serve, or was silent
in a drill; 6 a drill did not meet what was promised, or an objective; 130 broken off.`,
    );
}

/** A command of its own: everything is made from the global options, and gone when it ends. */
async function alone(words: readonly string[]): Promise<number> {
  const program = withGlobalOptions(newProgram());
  const run: Run = async (work) => {
    const options = program.opts<GlobalOptions>();
    await reported(new Output(options.json ?? false), async (output) => {
      const clock = systemClock();
      const directory = RealmDirectory.at(options.realm);
      const passphrases = new Passphrases(parseDescriptor(options.passphraseFd), clock);
      await using identities = new Identities(directory, options.identity ?? [], passphrases, clock);
      const { signal } = new AbortController();
      await work({ clock, unbroken: clock, output, directory, identities, input: 'command', signal });
    });
  };
  return evaluate(program, run, words, [...COMMANDS, registerShell(within)]);
}

/** One line of the shell: it has the surroundings that all lines share, and no global options. */
async function within(words: readonly string[], surroundings: Surroundings): Promise<number> {
  const { json, streams } = surroundings;
  const program = newProgram().configureOutput({
    writeOut: (text) => void streams.stdout.write(text),
    writeErr: (text) => void streams.stderr.write(text),
  });
  const run: Run = (work) =>
    reported(new Output(json, streams), (output) => work({ ...surroundings, output, input: 'shell' }));
  return evaluate(program, run, words, COMMANDS);
}

async function reported(output: Output, work: (output: Output) => Promise<void>): Promise<void> {
  try {
    await work(output);
  } catch (error) {
    process.exitCode = output.failure(error);
  }
}

/** What the command left behind; a command may succeed with a code of its own. */
function exitCode(): number {
  return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok;
}

async function evaluate(
  program: Command,
  run: Run,
  words: readonly string[],
  commands: readonly Register[],
): Promise<number> {
  process.exitCode = EXIT.ok;
  for (const register of commands) register(program, run);
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  return exitCode();
}

// Whoever reads the output may go away (`| head -1`); what was begun is done all the same.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

process.exitCode = await alone(process.argv.slice(2));
