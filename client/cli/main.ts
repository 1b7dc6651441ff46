// The operator's command `lapse`. One file a command; here they meet the global options, the clock and the exit code.
import { Command, CommanderError } from 'commander';
import { readFileSync } from 'node:fs';
import { systemClock } from '../clock.ts';
import type { Run } from './command.ts';
import { registerCompletion } from './commands/completion.ts';
import { registerGrant } from './commands/grant.ts';
import { registerInit } from './commands/init.ts';
import { registerNamespace } from './commands/namespace.ts';
import { registerRevoke } from './commands/revoke.ts';
import { registerRotate } from './commands/rotate.ts';
import { registerSecret } from './commands/secret.ts';
import { registerStatus } from './commands/status.ts';
import { EXIT, Output } from './output.ts';
import { RealmDirectory } from './realm-directory.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('lapse')
  .description('Secrets for containers, as files that exist only in memory and are taken back on time.')
  .version(version)
  .option('--realm <dir>', "the operator's directory (default: LAPSE_REALM, else ~/.config/lapse)")
  .option('--json', 'print one JSON document')
  .showHelpAfterError('(lapse --help shows what there is)')
  .addHelpText(
    'after',
    `
The way of a secret:
  lapse init --service http://127.0.0.1:7700
  lapse namespace add payments
  printf %s "hunter2" | lapse secret put payments/db-password --grant web
  lapse rotate payments/db-password --generate 32
  lapse revoke payments/db-password

Exit codes: 0 done; 1 refused or failed, with a stable code in brackets; 2 wrong usage, or not confirmed.`,
  )
  .exitOverride();

const run: Run = async (work) => {
  const options = program.opts<{ realm?: string; json?: boolean }>();
  const output = new Output(options.json ?? false);
  try {
    await work({ clock: systemClock(), output, directory: RealmDirectory.at(options.realm) });
  } catch (error) {
    process.exitCode = output.failure(error);
  }
};

for (const register of [
  registerInit,
  registerNamespace,
  registerSecret,
  registerRotate,
  registerGrant,
  registerRevoke,
  registerStatus,
  registerCompletion,
]) {
  register(program, run);
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
}
