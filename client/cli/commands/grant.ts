// `lapse grant`: lets a workload read a secret.
import { parseSecretReference } from '../../../manifest/names.ts';
import { setGrants } from '../../../manifest/realm/change.ts';
import type { Context, Register } from '../command.ts';
import { mergeGrants } from '../new-version.ts';
import { asUsage, parseGrant } from '../options.ts';
import type { GrantOptions } from '../options.ts';
import { Session, secretOf } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';

export const registerGrant: Register = (program, run) => {
  program
    .command('grant')
    .argument('<namespace/name>')
    .argument('<workload>')
    .summary('let a workload read a secret')
    .description(
      'Grants a workload a secret, as a file in its view. A later grant to it replaces the earlier one.',
    )
    .option('--as <file>', "the file's name in the view (default: the secret's name)")
    .option('--uid <number>', "the file's owner, as the host counts", '0')
    .option('--gid <number>', "the file's group", '0')
    .option('--mode <octal>', 'reading only: 0400, 0440 or 0444', '0400')
    .addHelpText('after', '\n  lapse grant payments/db-password web --as password --uid 1000')
    .action((name: string, workload: string, options: GrantOptions) =>
      run((context) => grant(context, name, workload, options)),
    );
};

async function grant(
  { clock, output, directory }: Context,
  text: string,
  workload: string,
  options: GrantOptions,
): Promise<void> {
  const { namespace, name } = asUsage(() => parseSecretReference(text));
  const added = parseGrant(workload, name, options);
  const session = await Session.open(directory, clock);
  const watch = new Stopwatch(clock);
  const published = await session.publish(namespace, watch, (targets, secrets) => {
    const secret = secretOf(secrets, namespace, name);
    return { targets: setGrants(targets, secret, mergeGrants(secret.grants, [added])), envelopes: [] };
  });
  await session.refresh();
  output.result([`${workload} may read ${namespace}/${name}, as self/${added.file}.`], {
    secret: `${namespace}/${name}`,
    workload,
    file: added.file,
    timestamp: published.timestamp,
    ...watch.report(),
  });
}
