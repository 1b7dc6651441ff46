// `lapse namespace add`: delegates a namespace to its signers, and says what it may ask of hosts. Needs the keys of targets.
import { parseNamespace } from '../../../manifest/names.ts';
import type { Namespace } from '../../../manifest/names.ts';
import { delegateNamespace } from '../../../manifest/realm/realm.ts';
import type { NamespaceTerms } from '../../../manifest/realm/realm.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Register } from '../command.ts';
import type { Identities } from '../identities.ts';
import { WHO, checkPools, newTerms, termsJson, withTermsOptions } from '../namespace-terms.ts';
import type { TermsOptions } from '../namespace-terms.ts';
import { asUsage, refuseReserved } from '../options.ts';
import { Session, roleOf } from '../session.ts';
import type { RoleEdit } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';

export const registerNamespaceAdd: Register = (namespace, run) => {
  withTermsOptions(
    namespace.command('add').argument('<name>', 'lower-case letters, digits and hyphens'),
    (usual) => `default: ${usual}`,
  )
    .option('--no-revoker', 'only signers can take back')
    .summary('delegate a namespace')
    .description('Delegates NAME/* to its signers. Needs the root identity, which signs targets.')
    .addHelpText(
      'after',
      `${WHO}

  lapse namespace add payments
  lapse namespace add payments --signer lapse1… --signer lapse1… --threshold 2 --revoker lapse1…`,
    )
    .action((name: string, options: TermsOptions) =>
      run(async (context) => {
        const namespace = asUsage(() => parseNamespace(name));
        refuseReserved(namespace);
        await addNamespace(
          context,
          namespace,
          options,
          `lapse secret put ${namespace}/db-password --grant WORKLOAD`,
        );
      }),
    );
};

/** Delegates a namespace; `next` is the command that whoever did it needs next. */
export async function addNamespace(
  context: Context,
  namespace: Namespace,
  options: TermsOptions,
  next: string,
): Promise<void> {
  const { clock, output, identities } = context;
  const terms = await newTerms(options, identities);
  const session = await Session.open(context);
  checkPools(terms, session);
  await session.ready('targets');
  const isMine = await canBegin(terms, identities);
  const watch = new Stopwatch(clock);
  const published = await session.publish(watch, (state) => ({
    roles: [
      delegation(state, namespace, terms),
      ...(isMine ? [{ role: namespace, change: { targets: {} } }] : []),
    ],
    files: [],
  }));
  await session.refresh();
  output.result(
    [
      isMine
        ? `Namespace ${namespace} is yours.`
        : `Namespace ${namespace} is delegated; its ${terms.threshold} of ${terms.signers.length} signers begin it.`,
      ...(terms.policy.whenStale === 'serve'
        ? ['Secrets in it may be served without any bound on revocation.']
        : []),
      `Next: ${next}`,
    ],
    { namespace, ...termsJson(terms), begun: isMine, timestamp: published.timestamp, ...watch.report() },
  );
}

function delegation(state: RealmState, namespace: Namespace, terms: NamespaceTerms): RoleEdit {
  return { role: 'targets', change: delegateNamespace(roleOf(state, 'targets'), namespace, terms) };
}

/**
 * Whether enough signers are at hand for its first version, and then unlocks them; otherwise the namespace begins with
 * its first secret.
 */
async function canBegin({ signers, threshold }: NamespaceTerms, identities: Identities): Promise<boolean> {
  const { identities: known } = await identities.list();
  const mine = known.filter(({ signing }) => signers.includes(signing));
  if (mine.length < threshold) return false;
  for (const signer of mine.slice(0, threshold)) await identities.open(signer);
  return true;
}
