// `lapsed`, the host daemon. Without a subcommand it becomes the holder, which runs `lapsed serve`; `lapsed status` asks
// the one that runs.
import { Command } from 'commander';
import { systemClock } from '../client/clock.ts';
import { isLapseError } from '../manifest/errors.ts';
import { fileURLToPath } from 'node:url';
import { readConfig } from './config.ts';
import { callControl } from './control/client.ts';
import { hold } from './hold.ts';
import { runDaemon } from './lapsed.ts';
import { stderrLog } from './log.ts';

const CONFIG = ['--config <file>', 'the configuration, TOML', '/etc/lapse/lapsed.toml'] as const;

const program = new Command('lapsed')
  .description('Serves secrets to the containers of this host, as files that exist only in memory.')
  .option(...CONFIG)
  .addHelpText(
    'after',
    `
A configuration:
  service = "http://127.0.0.1:7700"
  root = "/etc/lapse/root.json"                    # from lapse init
  pool_keys = ["/etc/lapse/default.x25519"]        # from lapse init, mode 0600

It needs root, /dev/fuse and locked memory. Containers bind the parent of its mount, /run/lapse, with rslave.`,
  )
  .action(() => attempt(start));

program
  .command('serve', { hidden: true })
  .argument('<phase>', 'which the holder gives')
  .action((phase: string) =>
    attempt(async () => runDaemon(await readConfig(configPath()), stderrLog(), phase)),
  );

program
  .command('status')
  .description('Prints what the running lapsed knows and serves, as JSON.')
  .action(() => attempt(status));

function configPath(): string {
  return program.opts<{ config: string }>().config;
}

async function start(): Promise<void> {
  const config = await readConfig(configPath());
  if (config.engine !== 'kernel') return runDaemon(config, stderrLog(), undefined);
  hold(config, [fileURLToPath(import.meta.url), '--config', configPath(), 'serve']);
}

async function status(): Promise<void> {
  const { control: to } = await readConfig(configPath());
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
