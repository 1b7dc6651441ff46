// `lapse host invite`: one line for one host, single use. It holds a secret that the service never sees; only this realm
// directory can approve what was asked for with it.
import type { Command } from 'commander';
import { parsePoolName } from '../../../manifest/names.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import { ClientError } from '../../errors.ts';
import type { Context, Run } from '../command.ts';
import { poolOf } from '../fleet-change.ts';
import { Invitations } from '../invitations.ts';
import { asUsage, collect, parseSeconds } from '../options.ts';
import { Session } from '../session.ts';
import { approveRequest, memberKeys } from './host-approve.ts';

interface InviteOptions {
  readonly pool?: readonly string[];
  readonly expires: string;
  readonly wait?: boolean;
  readonly yes?: boolean;
}

const DEFAULT_POOLS = ['default'];
const LONGEST = 7 * 24 * 3600;
const ASK_MS = 500;

export function registerInvite(host: Command, run: Run): void {
  host
    .command('invite')
    .summary('make an invitation for one host')
    .description('Prints one line, which lets one host ask to join. It is a secret: send it by a safe way.')
    .option('--pool <name>', 'a pool that the host is to serve (default: default; repeatable)', collect)
    .option('--expires <time>', 'how long it is good', '1h')
    .option('--wait', 'wait for the host, show its keys, and approve it')
    .option('-y, --yes', 'do not ask, with --wait')
    .addHelpText(
      'after',
      `
On the host: lapsed join < LINE. Then, here: lapse host approve. With --json, --wait prints a second document.

  lapse host invite --pool web > line
  lapse host invite --wait | ssh web-1 lapsed join`,
    )
    .action((options: InviteOptions) => run((context) => invite(context, options)));
}

async function invite(context: Context, options: InviteOptions): Promise<void> {
  const { clock, output, directory } = context;
  const pools = asUsage(() => [...new Set((options.pool ?? DEFAULT_POOLS).map(parsePoolName))]);
  const seconds = parseSeconds(options.expires, '--expires', 1, LONGEST);
  const session = await Session.open(context);
  for (const pool of pools) poolOf(session.fleet, pool);
  const invitations = new Invitations(directory, session.updater.realm);
  await invitations.sweep(clock.now(), memberKeys(session.state));
  const expires = clock.now() + seconds * 1000;
  const { id, line } = await invitations.make(await directory.config(), pools, expires);
  try {
    output.secretLine('invite', line, { id, pools, expires: formatInstant(expires) });
  } finally {
    line.fill(0);
  }
  if (options.wait !== true) return;
  output.progress('Waiting for the host to ask …');
  for (;;) {
    const request = (await session.transport.joins()).find((join) => join.id === id);
    if (request) return approveRequest(context, session, invitations, request, options.yes ?? false);
    if (clock.now() > expires || context.signal.aborted) {
      throw new ClientError('join-unknown', 'no host has asked with this invitation');
    }
    await clock.sleep(ASK_MS);
  }
}
