// `lapse follow`: makes a directory for a realm that exists, e.g. for somebody on call. The realm id decides which realm it
// is, whatever the service says: root 1 must be what it names.
import { LIMITS } from '../../../manifest/limits.ts';
import { parseRealmId } from '../../../manifest/names.ts';
import { realmId } from '../../../manifest/realm/realm.ts';
import { trustRoot } from '../../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../../errors.ts';
import { parseIdentityName } from '../../identity/identity.ts';
import { formatPublicLine } from '../../identity/public-line.ts';
import { httpTransport } from '../../transport.ts';
import type { Context, Register } from '../command.ts';
import type { KnownIdentity } from '../identities.ts';
import { asUsage } from '../options.ts';
import { chooseService } from '../service-choice.ts';
import type { ServiceOptions } from '../service-choice.ts';
import { unprotectedLine } from './identity.ts';

interface FollowOptions extends ServiceOptions {
  readonly as: string;
  readonly passphrase: boolean;
}

export const registerFollow: Register = (program, run) => {
  program
    .command('follow')
    .argument('<realm>', 'the realm id, 64 hexadecimal digits, from somebody whom you trust')
    .summary('use a realm that exists, with an identity of your own')
    .description(
      'Makes a directory for a realm that somebody else made, and an identity of yours if there is none.',
    )
    .requiredOption('--service <url>', 'the manifest service')
    .option('--pin <pin>', 'the pin of its certificate (asked for, if not given)')
    .option('--as <name>', 'the name of your identity', 'me')
    .option('--no-passphrase', 'leave the identity open to whoever can read the file')
    .addHelpText(
      'after',
      `
Send the public line that it prints to whoever runs lapse namespace add, to be a signer, a revoker or a
custodian.

  lapse follow 5f1c… --service https://lapse.internal:7700 --pin sha256:…`,
    )
    .action((realm: string, options: FollowOptions) => run((context) => follow(context, realm, options)));
};

async function follow(context: Context, text: string, options: FollowOptions): Promise<void> {
  const { clock, output, directory } = context;
  const realm = asUsage(() => parseRealmId(text));
  const name = parseIdentityName(options.as);
  await directory.refuseRealm();
  const service = await chooseService(options);
  const root = await httpTransport(service, clock).metadata('1.root.json', LIMITS.rootBytes);
  const found = realmId(trustRoot(root).root);
  if (found !== realm) {
    throw new ClientError('realm-mismatch', `${service.url} has another realm: ${found}`);
  }
  await directory.create();
  const identity = await ownIdentity(context, name, options.passphrase);
  await directory.write('root.json', root);
  await directory.writeConfig({
    service: service.url,
    ...(service.pin === undefined ? {} : { pin: service.pin }),
  });
  const isOpen = identity.file?.isProtected === false;
  const line = formatPublicLine(identity);
  output.result(
    [
      `${directory.path} follows the realm ${realm.slice(0, 16)} on ${service.url}.`,
      `Your public line, for whoever runs lapse namespace add:`,
      line,
      ...(isOpen ? [unprotectedLine([identity])] : []),
      'Next: lapse status',
    ],
    { realm, service: service.url, directory: directory.path, name, public: line, unprotected: isOpen },
  );
}

async function ownIdentity(
  { identities }: Context,
  name: string,
  isProtected: boolean,
): Promise<KnownIdentity> {
  const known = (await identities.list()).identities.find((one) => one.name === name);
  if (known) return known;
  return identities.create(
    name,
    isProtected ? await identities.newPassphrase(`the identity ${name}`) : undefined,
  );
}
