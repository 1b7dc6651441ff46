// `lapse grant`: lets a workload read a secret, or with --withdraw no longer.
import type { JsonObject } from '../../../manifest/json.ts';
import type { SecretReference } from '../../../manifest/names.ts';
import { setGrants } from '../../../manifest/realm/change.ts';
import type { Grant } from '../../../manifest/realm/grant.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import { ClientError } from '../../errors.ts';
import type { Context, Register } from '../command.ts';
import { mergeGrants } from '../new-version.ts';
import { parseGrant, parseSecret } from '../options.ts';
import type { GrantOptions } from '../options.ts';
import { Session, secretOf } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';

export const registerGrant: Register = (program, run) => {
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
    .option('--withdraw', 'take the grant back, open files included')
    .addHelpText(
      'after',
      `
  lapse grant payments/db-password web --as password --uid 1000
  lapse grant payments/db-password web --withdraw`,
    )
    .action((name: string, workload: string, options: GrantOptions & { withdraw?: boolean }) =>
      run((context) =>
        options.withdraw === true
          ? withdraw(context, name, workload)
          : grant(context, name, workload, options),
      ),
    );
};

async function grant(context: Context, text: string, workload: string, options: GrantOptions): Promise<void> {
  const { namespace, name } = parseSecret(text);
  const added = parseGrant(workload, name, options);
  const report = await regrant(context, { namespace, name }, (secret) => mergeGrants(secret.grants, [added]));
  context.output.result([`${workload} may read ${namespace}/${name}, as self/${added.file}.`], {
    ...report,
    workload,
    file: added.file,
  });
}

async function withdraw(context: Context, text: string, workload: string): Promise<void> {
  const { namespace, name } = parseSecret(text);
  const report = await regrant(context, { namespace, name }, ({ grants }) => {
    const kept = grants.filter((grant) => grant.workload !== workload);
    if (kept.length < grants.length) return kept;
    throw new ClientError('grant-unknown', `${workload} has no grant of ${namespace}/${name}`);
  });
  context.output.result([`${workload} may no longer read ${namespace}/${name}.`], { ...report, workload });
}

async function regrant(
  { clock, directory }: Context,
  { namespace, name }: SecretReference,
  change: (secret: Secret) => readonly Grant[],
): Promise<JsonObject> {
  const session = await Session.open(directory, clock);
  const watch = new Stopwatch(clock);
  const published = await session.publish(namespace, watch, (targets, secrets) => {
    const secret = secretOf(secrets, namespace, name);
    return { targets: setGrants(targets, secret, change(secret)), envelopes: [] };
  });
  await session.refresh();
  return { secret: `${namespace}/${name}`, timestamp: published.timestamp, ...watch.report() };
}
