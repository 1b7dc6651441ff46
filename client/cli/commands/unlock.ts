// `lapse unlock`: asks for the passphrase once; after that commands sign and decrypt without asking, until the time is
// over or `lapse lock`. A process in the background holds the keys.
import { ClientError } from '../../errors.ts';
import { AGENT_LIMITS } from '../../identity/agent/agent.ts';
import type { Context, Register } from '../command.ts';
import type { KnownIdentity } from '../identities.ts';
import { parseSeconds } from '../options.ts';

export const registerUnlock: Register = (program, run) => {
  program
    .command('unlock')
    .argument('[names...]', 'identities (default: all of this directory but root, root-1, root-2 …)')
    .summary('unlock identities for a while')
    .description('Asks for the passphrase once and keeps the identities unlocked in the background.')
    .option('--for <time>', 'how long, up to 24h', '8h')
    .addHelpText(
      'after',
      `
  lapse unlock
  lapse unlock root --for 5m`,
    )
    .action((names: readonly string[], options: { for: string }) =>
      run((context) => unlock(context, names, options.for)),
    );
};

async function unlock(
  { output, identities }: Context,
  names: readonly string[],
  time: string,
): Promise<void> {
  const seconds = parseSeconds(time, '--for', 1, AGENT_LIMITS.seconds);
  const wanted = names.length > 0 ? await named(names, identities) : await everyday(identities);
  const agent = await identities.agent();
  for (const known of wanted) {
    const secret = await identities.secret(known);
    try {
      await agent.add(known.name, secret, seconds);
    } finally {
      secret.fill(0);
    }
  }
  const unlocked = wanted.map(({ name }) => name);
  output.result([`Unlocked for ${time}: ${unlocked.join(', ')}. To end it sooner: lapse lock`], {
    unlocked,
    seconds,
  });
}

async function named(
  names: readonly string[],
  identities: Context['identities'],
): Promise<readonly KnownIdentity[]> {
  const found: KnownIdentity[] = [];
  for (const name of names) found.push(await identities.find(name));
  return found;
}

/** What needs no passphrase needs no unlocking; root keys are unlocked only by name. */
async function everyday(identities: Context['identities']): Promise<readonly KnownIdentity[]> {
  const { identities: known } = await identities.list();
  const locked = known.filter(({ name, file }) => file?.isProtected === true && !/^root(-\d+)?$/.test(name));
  if (locked.length > 0) return locked;
  throw new ClientError('identity-unknown', 'there is no identity here to unlock; run: lapse identity list');
}
