// `lapsed`, the host daemon. Without a subcommand it becomes the holder, which runs `lapsed serve`; `lapsed join` makes
// this machine a host of a realm; `lapsed status` asks the one that runs.
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { systemClock } from '../client/clock.ts';
import { isLapseError } from '../manifest/errors.ts';
import { LIMITS } from '../manifest/limits.ts';
import { parseHostName } from '../manifest/names.ts';
import { readConfig } from './config.ts';
import type { Config } from './config.ts';
import { callControl } from './control/client.ts';
import { fittingName, join } from './host/join.ts';
import { hold } from './hold.ts';
import { runDaemon } from './lapsed.ts';
import { stderrLog } from './log.ts';

const CONFIG = [
  '--config <file>',
  'the configuration, TOML; may be missing',
  '/etc/lapse/lapsed.toml',
] as const;

const program = new Command('lapsed')
  .description('Serves secrets to the containers of this host, as files that exist only in memory.')
  .option(...CONFIG)
  .addHelpText(
    'after',
    `
First, with a line that lapse host invite printed:
  lapsed join < invitation
Then lapsed. It needs root, /dev/fuse and locked memory. Containers bind the parent of its mount, /run/lapse, with rslave.`,
  )
  .action(() => attempt(start));

program
  .command('join')
  .description('Makes this machine a host of the realm that has invited it. Reads the invitation from stdin.')
  .option('--name <name>', 'what the host is called', fittingName(hostname()))
  .option('--state <directory>', 'where its keys are kept, if not where the configuration says')
  .option('--no-wait', 'end when the request is posted; lapsed may start, and serves once it was approved')
  .option(
    '--timeout <seconds>',
    'how long to wait for the approval; else until the invitation expires',
    parseSeconds,
  )
  .action((options: JoinArguments) => attempt(() => runJoin(options)));

program
  .command('serve', { hidden: true })
  .argument('<phase>', 'which the holder gives')
  .action((phase: string) => attempt(async () => runDaemon(await config(), stderrLog(), phase)));

program
  .command('status')
  .description('Prints what the running lapsed knows and serves, as JSON.')
  .action(() => attempt(status));

interface JoinArguments {
  readonly name: string;
  readonly state?: string;
  readonly wait: boolean;
  readonly timeout?: number;
}

function parseSeconds(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('a number of seconds is expected');
  return Number(text);
}

function configPath(): string {
  return program.opts<{ config: string }>().config;
}

/** The usual file may be missing; one that was named may not. */
function config(): Promise<Config> {
  return readConfig(configPath(), { optional: program.getOptionValueSource('config') === 'default' });
}

async function start(): Promise<void> {
  const found = await config();
  if (found.engine !== 'kernel') return runDaemon(found, stderrLog(), undefined);
  const named = program.getOptionValueSource('config') === 'default' ? [] : ['--config', configPath()];
  hold(found, [fileURLToPath(import.meta.url), ...named, 'serve']);
}

async function runJoin({ name, state, wait, timeout }: JoinArguments): Promise<void> {
  const directory = state ?? (await config()).state;
  const host = parseHostName(name);
  const patience = wait ? (timeout === undefined ? {} : { patienceMs: timeout * 1000 }) : { patienceMs: 0 };
  const isMember = await join(await readLine(), {
    state: directory,
    name: host,
    ...patience,
    clock: systemClock(),
    onAsked: ({ signing, encryption }) =>
      say([
        `Asked to join as ${host}. Compare with what lapse host approve shows:`,
        `  signing key     ${signing}`,
        `  encryption key  ${encryption}`,
        ...(wait ? [`Waiting for: lapse host approve ${host}`] : []),
      ]),
  });
  process.stdout.write(
    isMember
      ? `${host} is a member. Its keys are in ${directory}; start lapsed.\n`
      : `${host} waits to be approved. Its keys are in ${directory}; lapsed may start already.\n`,
  );
}

function say(lines: readonly string[]): void {
  process.stderr.write(lines.map((line) => `${line}\n`).join(''));
}

/** It holds a secret, so it stays in one Buffer, and comes from nowhere else. */
async function readLine(): Promise<Buffer> {
  const line = Buffer.alloc(LIMITS.inviteBytes + 1);
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    length += chunk.copy(line, length);
    chunk.fill(0);
  }
  return line.subarray(0, length);
}

async function status(): Promise<void> {
  const { control: to } = await config();
  const { body } = await callControl({ to, method: 'GET', path: '/v1/status' }, systemClock());
  process.stdout.write(`${body}\n`);
}

async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const code =
      typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'internal';
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`lapsed: ${message} [${isLapseError(error) ? error.code : code}]\n`);
    process.exit(1);
  }
}

await program.parseAsync();
