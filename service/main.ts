// The program `lapse-service`: reads the command line, and runs one service until SIGTERM or SIGINT, prints its pin, or makes new
// online keys. Exit codes: 0 after an orderly end, 1 for a failure (one sentence on stderr), 2 for a command line that is not
// understood.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { LapseError } from '../manifest/errors.ts';
import { systemClock } from './clock.ts';
import { checkPlain, parseListenAddress } from './listen-address.ts';
import type { ListenAddress } from './listen-address.ts';
import { formatEvent } from './log.ts';
import { makeNextKeys } from './online-keys.ts';
import { startService } from './service.ts';
import { readPin } from './tls-identity.ts';

interface Options {
  readonly data: string;
  readonly listen: ListenAddress;
  readonly http?: boolean;
}

const LISTEN = '127.0.0.1:7700';

const EXAMPLES = `
Examples:
  lapse-service --data /var/lib/lapse-service --listen 0.0.0.0:7700
  lapse-service --data ./state --listen 127.0.0.1:0    any free port, printed on stdout
  lapse-service --data ./state --http                  plain HTTP, for this machine only
  lapse-service pin --data /var/lib/lapse-service      the pin of a service that was started before
  lapse-service keys new --data /var/lib/lapse-service new online keys, for lapse root rotate-online

The state directory holds the store, the two online keys and the TLS key; only one process may use it at a time.
Prints one line, "lapse-service: listening on URL pin PIN", once it serves. Clients know the service by the pin alone.
SIGTERM or SIGINT end it in good order.
`;

const program = new Command('lapse-service')
  .description('The signed manifest service: it can neither read a secret nor forge one.')
  .requiredOption('--data <dir>', 'state directory, made with mode 0700 if it is not there')
  .addOption(
    new Option('--listen <address>', 'address and port; HTTPS, with a certificate of its own')
      .argParser(listenAddress)
      .default(parseListenAddress(LISTEN), LISTEN),
  )
  .option('--http', 'plain HTTP instead, on a loopback address only')
  .addHelpText('after', EXAMPLES)
  .exitOverride()
  .action(run);

program
  .command('pin')
  .description('print the pin by which clients know the service')
  .action(() => void process.stdout.write(`${readPin(program.opts<Options>().data)}\n`));

program
  .command('keys')
  .description('the online keys, which sign snapshot and timestamp')
  .command('new')
  .description(
    'make a pair that waits until a root names it, and print its public halves; the service may run',
  )
  .action(() => {
    process.stdout.write(`${JSON.stringify(makeNextKeys(program.opts<Options>().data))}\n`);
  });

function listenAddress(text: string): ListenAddress {
  try {
    return parseListenAddress(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof LapseError ? error.message : String(error));
  }
}

/** A command line that asks for plain HTTP beyond this machine is not understood. */
function refuseElsewhere(listen: ListenAddress): void {
  try {
    checkPlain(listen);
  } catch (error) {
    program.error(error instanceof LapseError ? error.message : String(error));
  }
}

async function run({ data, listen, http = false }: Options): Promise<void> {
  if (http) refuseElsewhere(listen);
  const ended = Promise.withResolvers<string>();
  process.on('SIGTERM', ended.resolve).on('SIGINT', ended.resolve);
  await using service = await startService({
    data,
    listen,
    http,
    clock: systemClock,
    log: (event, details) => void process.stderr.write(`${formatEvent(event, details)}\n`),
  });
  const pin = service.pin === undefined ? '' : ` pin ${service.pin}`;
  process.stdout.write(`lapse-service: listening on ${service.url}${pin}\n`);
  await ended.promise;
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    process.stderr.write(`lapse-service: ${error instanceof LapseError ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
