// `lapse grant`: lets a workload read a secret. Taking a grant back is `lapse revoke --workload`, or here with --withdraw.
import type { SecretReference, Workload } from '../../../manifest/names.ts';
import { catchUp, setGrants } from '../../../manifest/realm/change.ts';
import type { Grant } from '../../../manifest/realm/grant.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import { ClientError } from '../../errors.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Register } from '../command.ts';
import { publishConfirmed, report } from '../confirmation.ts';
import type { Change } from '../confirmation.ts';
import { mergeGrants } from '../new-version.ts';
import { WAITING_HELP, parseGrant, parseOwnSecret, parseSecret, parseWait, withWaiting } from '../options.ts';
import type { GrantOptions, WaitWords } from '../options.ts';
import { Session, secretOf, secretsOf, targetsOf } from '../session.ts';

type Options = GrantOptions & WaitWords & { readonly withdraw?: boolean };

export const registerGrant: Register = (program, run) => {
  withWaiting(
    program
      .command('grant')
      .argument('<namespace/name>')
      .argument('<workload>')
      .summary('let a workload read a secret, or no longer')
      .description(
        'Grants a workload a secret, as a file in its view. A later grant to it replaces the earlier one.',
      )
      .option('--as <file>', "the file's name in the view (default: the secret's name)")
      .option('--uid <number>', "the file's owner, as the host counts", '0')
      .option('--gid <number>', "the file's group", '0')
      .option('--mode <octal>', 'reading only: 0400, 0440 or 0444', '0400')
      .option('--withdraw', 'take the grant back, open files included'),
  )
    .addHelpText(
      'after',
      `${WAITING_HELP}

  lapse grant payments/db-password web --as password --uid 1000
  lapse grant payments/db-password web --withdraw`,
    )
    .action((name: string, workload: string, options: Options) =>
      run((context) =>
        options.withdraw === true
          ? withdraw(context, name, workload, options)
          : grant(context, name, workload, options),
      ),
    );
};

async function grant(context: Context, text: string, workload: string, options: Options): Promise<void> {
  const reference = parseOwnSecret(text);
  const added = parseGrant(workload, reference.name, options);
  const said = `${workload} may read ${text}, as self/${added.file}.`;
  await regrant(context, reference, workload, options, said, ({ grants }) => mergeGrants(grants, [added]));
}

async function withdraw(context: Context, text: string, workload: string, options: Options): Promise<void> {
  const reference = parseSecret(text);
  const said = `${workload} may no longer read ${text}.`;
  await regrant(context, reference, workload, options, said, ({ grants }) =>
    withoutGrant(grants, workload, text),
  );
}

/** @throws ClientError grant-unknown */
export function withoutGrant(grants: readonly Grant[], workload: string, text: string): readonly Grant[] {
  const kept = grants.filter((grant) => grant.workload !== workload);
  if (kept.length < grants.length) return kept;
  throw new ClientError('grant-unknown', `${workload} has no grant of ${text}`);
}

async function regrant(
  context: Context,
  reference: SecretReference,
  workload: string,
  options: Options,
  said: string,
  edit: (secret: Secret) => readonly Grant[],
): Promise<void> {
  const { namespace, name } = reference;
  const wait = parseWait(options);
  const session = await Session.open(context);
  // Before anybody is asked for a passphrase: it must be there, and the change possible.
  edit(secretOf(secretsOf(session.state, namespace), namespace, name));
  const change: Change = {
    namespace,
    role: namespace,
    names: [name],
    options: wait,
    said: () => [said, ...heldBack(session.state, reference, workload)],
  };
  const outcome = await publishConfirmed(context, session, change, (state) => {
    const secrets = secretsOf(state, namespace);
    const secret = secretOf(secrets, namespace, name);
    const targets = catchUp(targetsOf(state, namespace), secrets.values(), context.clock.now());
    return {
      roles: [{ role: namespace, change: { targets: setGrants(targets, secret, edit(secret)) } }],
      files: [],
    };
  });
  report(context, outcome, change, { secret: `${namespace}/${name}`, workload });
}

/** A grant that a revoker took back is in force again only with the next version. */
function heldBack(
  state: RealmState,
  { namespace, name }: SecretReference,
  workload: string,
): readonly string[] {
  const secret = state.secrets.get(namespace)?.get(name);
  const through = secret?.withheld.get(workload as Workload) ?? 0;
  if (!secret || through < secret.newestVersion) return [];
  return [`A revoker took it back through version ${through}: the next version is its, lapse rotate`];
}
