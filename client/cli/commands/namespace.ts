// `lapse namespace add`: delegates a namespace to this operator and publishes its first, empty version.
import { parseNamespace } from '../../../manifest/names.ts';
import { delegate, nextVersion } from '../../../manifest/realm/realm.ts';
import { signMetadata } from '../../../manifest/tuf/metadata.ts';
import { currentRole } from '../../../manifest/tuf/trusted-set.ts';
import type { Context, Register } from '../command.ts';
import { ClientError } from '../../errors.ts';
import { fileSigner, publicHex, readKeyFile } from '../../key-file.ts';
import { asUsage } from '../options.ts';
import { Session } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';

export const registerNamespace: Register = (program, run) => {
  const namespace = program.command('namespace').summary('add a namespace, one per team');
  namespace
    .command('add')
    .argument('<name>', 'lower-case letters, digits and hyphens')
    .summary('delegate a namespace')
    .description('Delegates NAME/* to your own key. Needs the root key, which signs targets.')
    .action((name: string) => run((context) => add(context, name)));
};

async function add({ clock, output, directory }: Context, text: string): Promise<void> {
  const namespace = asUsage(() => parseNamespace(text));
  const session = await Session.open(directory, clock);
  const signer = fileSigner(await readKeyFile(directory.file('keys', 'root.ed25519'), 'ed25519'));
  const owner = publicHex(await readKeyFile(directory.file('keys', 'operator.ed25519'), 'ed25519'));
  const watch = new Stopwatch(clock);
  const { set } = session.state;
  const targets = currentRole(set, 'targets');
  if (!targets) throw new ClientError('not-found', 'the service publishes no targets role');
  // A run that was interrupted between the two publishes is finished by the next one.
  if (!targets.role.delegations.has(namespace) || currentRole(set, namespace)) {
    const signed = nextVersion(targets, targets.role.expires, {
      delegations: delegate(targets, namespace, owner),
    });
    await session.transport.publish({
      role: 'targets',
      metadata: signMetadata(signed, [signer]),
      envelopes: [],
    });
    await session.refresh();
  }
  const published = await session.publish(namespace, watch, (before) => ({ targets: before, envelopes: [] }));
  output.result(
    [`Namespace ${namespace} is yours.`, `Next: lapse secret put ${namespace}/db-password --grant WORKLOAD`],
    { namespace, ...published, ...watch.report() },
  );
}
