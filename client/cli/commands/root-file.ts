// `lapse root sign FILE` and `lapse root publish FILE`: a next root that goes from person to person.
import { ClientError } from '../../errors.ts';
import type { Context, Register } from '../command.ts';
import {
  agree,
  missingLines,
  namesOf,
  publishRoot,
  readDraft,
  reportFile,
  signAtHand,
  withExpired,
  withSigning,
  writeDraft,
} from '../root-signing.ts';
import type { RootOptions } from '../root-signing.ts';
import { Session } from '../session.ts';

export const registerRootSign: Register = (root, run) => {
  withSigning(
    root
      .command('sign')
      .argument('<file>', 'what lapse root change, extend or rotate-online --out wrote')
      .summary('sign a next root that somebody else made')
      .description(
        'Checks the file against the root in force, shows what it changes, and adds your signature.',
      ),
  )
    .addHelpText('after', '\n  lapse root sign root.json')
    .action((file: string, options: RootOptions) => run((context) => sign(context, file, options)));
};

export const registerRootPublish: Register = (root, run) => {
  withExpired(
    root
      .command('publish')
      .argument('<file>', 'with the signatures of everybody who is needed')
      .summary('put a signed root in force')
      .description('Publishes a next root that enough people have signed.'),
  )
    .addHelpText('after', '\n  lapse root publish root.json')
    .action((file: string, options: RootOptions) => run((context) => publish(context, file, options)));
};

async function sign(
  context: Context,
  file: string,
  { yes = false, expired = false }: RootOptions,
): Promise<void> {
  const session = await Session.open(context, { expired });
  const draft = await readDraft(file, session);
  await agree(context, draft, yes);
  const signers = await signAtHand(context, draft);
  if (signers.size === 0) {
    const missing = missingLines(draft, await namesOf(context.identities));
    const why = ['nobody who is here can add a signature', ...missing].join('; ');
    throw new ClientError('signatures-missing', why);
  }
  await writeDraft(file, draft);
  await reportFile(context, draft, file);
}

async function publish(context: Context, file: string, { expired = false }: RootOptions): Promise<void> {
  const session = await Session.open(context, { expired });
  await publishRoot(context, session, await readDraft(file, session));
}
