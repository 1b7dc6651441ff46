// The program `lapse-service`: reads the command line, runs one service until SIGTERM or SIGINT. Exit codes: 0 after
// an orderly end, 1 for a failure (one sentence on stderr), 2 for a command line that is not understood.
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { LapseError } from '../manifest/errors.ts';
import { systemClock } from './clock.ts';
import { parseListenAddress } from './listen-address.ts';
import type { ListenAddress } from './listen-address.ts';
import { formatEvent } from './log.ts';
import { startService } from './service.ts';

interface Options {
  readonly data: string;
  readonly listen: ListenAddress;
}

const LISTEN = '127.0.0.1:7700';

const EXAMPLES = `
Examples:
  lapse-service --data /var/lib/lapse-service
  lapse-service --data ./state --listen 127.0.0.1:0    any free port, printed on stdout
  lapse-service --data ./state --listen [::1]:7700

The state directory holds the store and the two online keys; only one process may use it at a time.
Prints one line, "lapse-service: listening on URL", once it serves. SIGTERM or SIGINT end it in good order.
`;

const program = new Command('lapse-service')
  .description('The signed manifest service: it can neither read a secret nor forge one.')
  .requiredOption('--data <dir>', 'state directory, made with mode 0700 if it is not there')
  .addOption(
    new Option('--listen <address>', 'loopback address and port')
      .argParser(listenAddress)
      .default(parseListenAddress(LISTEN), LISTEN),
  )
  .addHelpText('after', EXAMPLES)
  .exitOverride();

function listenAddress(text: string): ListenAddress {
  try {
    return parseListenAddress(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof LapseError ? error.message : String(error));
  }
}

async function run({ data, listen }: Options): Promise<void> {
  const ended = Promise.withResolvers<string>();
  process.on('SIGTERM', ended.resolve).on('SIGINT', ended.resolve);
  await using service = await startService({
    data,
    listen,
    clock: systemClock,
    log: (event, details) => void process.stderr.write(`${formatEvent(event, details)}\n`),
  });
  process.stdout.write(`lapse-service: listening on ${service.url}\n`);
  await ended.promise;
}

try {
  await run(program.parse().opts<Options>());
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    process.stderr.write(`lapse-service: ${error instanceof LapseError ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
