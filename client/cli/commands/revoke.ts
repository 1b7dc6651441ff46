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
    .option('-y, --yes', 'do not ask', false)
    .addHelpText(
      'after',
      `
Names vanish, open descriptors answer EACCES, mappings SIGBUS. Bytes that a process has read already
cannot be recalled: rotate the credential at its source as well.

  lapse revoke payments/db-password
  lapse revoke payments/db-password@3 --yes`,
    )
    .action((name: string, options: { yes: boolean }) =>
      run((context) => revoke(context, name, options.yes)),
    );
};

async function revoke({ clock, output, directory }: Context, text: string, yes: boolean): Promise<void> {
  const { namespace, name, version } = asUsage(() => parseSecretReference(text));
  const session = await Session.open(directory, clock);
  const known = secretOf(secretsOf(session.state, namespace), namespace, name);
  const hit = known.grants.map((grant) => grant.workload).join(', ') || 'nobody';
  await confirm(`Revoke ${text}, read by ${hit}?`, yes);
  const watch = new Stopwatch(clock);
  let revokedThrough = 0;
  const published = await session.publish(namespace, watch, (targets, secrets) => {
    const secret = secretOf(secrets, namespace, name);
    revokedThrough = version === undefined ? secret.newestVersion : secret.revokedThrough;
    const now = clock.now();
    const next =
      version === undefined
        ? revokeThrough(targets, secret, secret.newestVersion, now)
        : revokeVersion(targets, secret, checkVersion(secret, version), now);
    return { targets: next, envelopes: [] };
  });
  const report = watch.report();
  output.result([`${text} is revoked; published after ${report.ms['total']} ms.`], {
    secret: `${namespace}/${name}`,
    ...(version === undefined ? { revokedThrough } : { version }),
    timestamp: published.timestamp,
    ...report,
  });
}

function checkVersion(secret: Secret, version: number): number {
  if (version > secret.newestVersion) {
    throw new ClientError('secret-unknown', `the newest version is ${secret.newestVersion}`);
  }
  if (isRevoked(secret, version))
    throw new ClientError('secret-withdrawn', `version ${version} is revoked already`);
  return version;
}
