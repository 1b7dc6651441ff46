// `lapse identity create | list | show | passphrase`: a person's own keys.
import type { Context, Register } from '../command.ts';
import type { KnownIdentity } from '../identities.ts';
import { columns } from '../output.ts';
import { parseDescriptor } from '../passphrase.ts';
import { ClientError } from '../../errors.ts';
import { formatPublicLine } from '../../identity/public-line.ts';

export const registerIdentity: Register = (program, run) => {
  const identity = program.command('identity').summary('make and show the keys of a person');
  identity
    .command('create')
    .argument('<name>', 'lower-case letters, digits and hyphens')
    .summary('make an identity')
    .description(
      'Makes a signing and a decryption key, sealed under a passphrase, and prints the public line.',
    )
    .option('--no-passphrase', 'leave the file open to whoever can read it; for trials and machines')
    .addHelpText(
      'after',
      `
The public line is what others need: for lapse namespace add --signer, --revoker or --custodian.

  lapse identity create alice`,
    )
    .action((name: string, { passphrase }: { passphrase: boolean }) =>
      run((context) => create(context, name, passphrase)),
    );
  identity
    .command('list')
    .summary('list the identities at hand')
    .action(() => run(list));
  identity
    .command('show')
    .argument('<name>')
    .summary('print the public line of an identity')
    .action((name: string) => run((context) => show(context, name)));
  identity
    .command('passphrase')
    .argument('<name>')
    .summary('seal an identity under another passphrase')
    .description(
      'Asks for the passphrase and for a new one, and seals the same keys under it, in the same file.',
    )
    .option('--new-passphrase-fd <number>', 'read the new one from that descriptor')
    .option('--no-passphrase', 'leave the file open to whoever can read it; for trials and machines')
    .addHelpText(
      'after',
      `
The keys stay the same, and copies of the old file still open with the old passphrase: what may have been stolen
is taken out of its roles. The descriptor may be the one of --passphrase-fd, with one line for each.

  lapse identity passphrase alice`,
    )
    .action((name: string, options: PassphraseOptions) =>
      run((context) => changePassphrase(context, name, options)),
    );
};

interface PassphraseOptions {
  readonly newPassphraseFd?: string;
  readonly passphrase: boolean;
}

async function create({ output, identities }: Context, name: string, isProtected: boolean): Promise<void> {
  const passphrase = isProtected ? await identities.newPassphrase(`the identity ${name}`) : undefined;
  const made = await identities.create(name, passphrase);
  output.result(
    [formatPublicLine(made), ...(isProtected ? [] : [unprotectedLine([made])])],
    publicJson(made),
  );
}

async function list({ output, identities }: Context): Promise<void> {
  const { identities: known, failures } = await identities.list();
  const rows = known.map((identity) => [identity.name, stateText(identity), formatPublicLine(identity)]);
  output.result(
    [
      ...(rows.length > 0 ? columns([['NAME', 'STATE', 'PUBLIC'], ...rows]) : ['No identities yet.']),
      ...failures.map((error) => error.message),
    ],
    {
      identities: known.map((identity) => ({
        ...publicJson(identity),
        state: stateOf(identity),
        ...(identity.unlockedSeconds === undefined ? {} : { seconds: identity.unlockedSeconds }),
      })),
      failures: failures.map(({ code, message }) => ({ code, message })),
    },
  );
}

async function show({ output, identities }: Context, name: string): Promise<void> {
  const known = await identities.find(name);
  output.result([formatPublicLine(known)], publicJson(known));
}

async function changePassphrase(
  { output, identities }: Context,
  name: string,
  { newPassphraseFd, passphrase: isProtected }: PassphraseOptions,
): Promise<void> {
  const descriptor = parseDescriptor(newPassphraseFd, '--new-passphrase-fd');
  if (!isProtected && descriptor !== undefined)
    throw new ClientError('usage', '--new-passphrase-fd and --no-passphrase contradict each other');
  const known = await identities.find(name);
  await identities.reseal(known, async () =>
    isProtected ? identities.newPassphrase(`the identity ${name}`, descriptor) : undefined,
  );
  output.result(
    [
      isProtected ? `Sealed anew: ${name}` : unprotectedLine([{ name }]),
      'Copies of the old file open as before.',
    ],
    { ...publicJson(known), protected: isProtected },
  );
}

type State = 'locked' | 'unlocked' | 'no passphrase';

function stateOf({ file, unlockedSeconds }: KnownIdentity): State {
  if (file?.isProtected === false) return 'no passphrase';
  return unlockedSeconds === undefined ? 'locked' : 'unlocked';
}

function stateText(identity: KnownIdentity): string {
  const { unlockedSeconds: seconds } = identity;
  const state = stateOf(identity);
  return seconds === undefined ? state : `${state} for ${Math.ceil(seconds / 60)} min`;
}

function publicJson(known: KnownIdentity) {
  const { name, signing, keyid, kid } = known;
  return { name, public: formatPublicLine(known), signing, keyid, kid };
}

/** Said wherever an identity without a passphrase is made or relied on. */
export function unprotectedLine(identities: readonly { name: string }[]): string {
  return `Without a passphrase, so whoever can read the file is them: ${identities.map(({ name }) => name).join(', ')}`;
}
