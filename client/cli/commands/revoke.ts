// `lapse revoke`: takes a secret back, from every host and every open descriptor.
import { parseSecretReference } from '../../../manifest/names.ts';
import { revokeThrough, revokeVersion } from '../../../manifest/realm/change.ts';
import { isRevoked } from '../../../manifest/realm/revocation.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import { ClientError } from '../../errors.ts';
import type { Context, Register } from '../command.ts';
import { confirm } from '../confirm.ts';
import { asUsage } from '../options.ts';
import { Session, secretOf, secretsOf } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';

export const registerRevoke: Register = (program, run) => {
  program
    .command('revoke')
    .argument('<namespace/name[@version]>')
    .summary('take a secret back, open files included')
    .description(
      'Revokes every version up to the newest, or with @VERSION that one alone. It cannot be undone.',
    )
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      `
Names vanish, open descriptors answer EACCES, mappings SIGBUS. Bytes that a process has read already
cannot be recalled: rotate the credential at its source as well.

  lapse revoke payments/db-password
  lapse revoke payments/db-password@3 --yes`,
    )
    .action((name: string, options: { yes?: boolean }) =>
      run((context) => revoke(context, name, options.yes ?? false)),
    );
};

async function revoke({ clock, output, directory }: Context, text: string, yes: boolean): Promise<void> {
  const { namespace, name, version } = asUsage(() => parseSecretReference(text));
  const session = await Session.open(directory, clock);
  const known = secretOf(secretsOf(session.state, namespace), namespace, name);
  const named = { secret: `${namespace}/${name}`, ...(version === undefined ? {} : { version }) };
  if (isDone(known, version)) {
    output.result([`${text} is revoked already.`], { ...named, already: true });
    return;
  }
  const hit = known.grants.map((grant) => grant.workload).join(', ') || 'nobody';
  await confirm(`Revoke ${text}, read by ${hit}?`, yes);
  const watch = new Stopwatch(clock);
  let revokedThrough = known.revokedThrough;
  const published = await session.publish(namespace, watch, (targets, secrets) => {
    const secret = secretOf(secrets, namespace, name);
    if (version !== undefined) {
      return { targets: revokeVersion(targets, secret, version, clock.now()), envelopes: [] };
    }
    revokedThrough = secret.newestVersion;
    return { targets: revokeThrough(targets, secret, revokedThrough, clock.now()), envelopes: [] };
  });
  const report = watch.report();
  output.result([`${text} is revoked; published after ${report.ms['total']} ms.`], {
    ...named,
    revokedThrough,
    timestamp: published.timestamp,
    ...report,
  });
}

/** Revoking again is no mistake in an incident. @throws ClientError secret-unknown */
function isDone(secret: Secret, version: number | undefined): boolean {
  if (version === undefined) return secret.revokedThrough >= secret.newestVersion;
  if (version > secret.newestVersion) {
    throw new ClientError('secret-unknown', `the newest version is ${secret.newestVersion}`);
  }
  return isRevoked(secret, version);
}
