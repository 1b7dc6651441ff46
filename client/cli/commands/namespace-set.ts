// `lapse namespace set`: gives a namespace other people or another policy, e.g. when somebody joins, leaves, or lost a key.
// What only keys that leave have signed is signed again in the same publish, so that no host ever meets a namespace that
// does not verify.
import type { Namespace } from '../../../manifest/names.ts';
import { parseNamespace } from '../../../manifest/names.ts';
import { namespaceTerms, redelegateNamespace, revokerOf } from '../../../manifest/realm/realm.ts';
import type { NamespaceTerms } from '../../../manifest/realm/realm.ts';
import type { Verified } from '../../../manifest/tuf/metadata.ts';
import type { Targets } from '../../../manifest/tuf/targets.ts';
import { currentRole } from '../../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../../errors.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Register } from '../command.ts';
import { WHO, changedTerms, checkPools, termsJson, withTermsOptions } from '../namespace-terms.ts';
import type { TermsOptions } from '../namespace-terms.ts';
import { asUsage } from '../options.ts';
import { Session, secretsOf } from '../session.ts';
import type { RoleEdit } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';
import { again } from './renew.ts';

export const registerNamespaceSet: Register = (namespace, run) => {
  withTermsOptions(namespace.command('set').argument('<name>'), () => 'default: as it is')
    .option('--no-when-stale-serve', 'all secrets end with the lease')
    .summary("change a namespace's people or policy")
    .description(
      'Replaces what is given, and leaves the rest. Needs the root identity, and a signer if signers leave.',
    )
    .addHelpText(
      'after',
      `${WHO}
Whoever is not named again leaves: name all signers, or all revokers. Values that a custodian or a pool
could decrypt before stay known to them until they are rotated.

  lapse namespace set payments --revoker operator --revoker lapse1…`,
    )
    .action((name: string, options: TermsOptions) => run((context) => set(context, name, options)));
};

async function set(context: Context, text: string, options: TermsOptions): Promise<void> {
  const { clock, output, identities } = context;
  const namespace = asUsage(() => parseNamespace(text));
  if (Object.keys(options).length === 0) throw new ClientError('usage', 'say what is to change; see --help');
  const session = await Session.open(context);
  secretsOf(session.state, namespace);
  const terms = await changedTerms(namespaceTerms(topTargets(session.state), namespace), options, identities);
  checkPools(terms, session);
  await session.ready('targets');
  const watch = new Stopwatch(clock);
  const published = await session.publish(watch, (state) => ({
    roles: edits(state, namespace, terms, clock.now()),
    files: [],
  }));
  await session.refresh();
  output.result(
    [
      `Namespace ${namespace} has new terms: ${terms.threshold} of ${terms.signers.length} signers, ` +
        `${terms.revokers.length} revokers, ${terms.policy.custodians.length} custodians.`,
      ...(terms.policy.whenStale === 'serve'
        ? ['Secrets in it may be served without any bound on revocation.']
        : []),
    ],
    {
      namespace,
      ...termsJson(terms),
      signedAgain: [...published.roles.keys()],
      timestamp: published.timestamp,
      ...watch.report(),
    },
  );
}

function edits(
  state: RealmState,
  namespace: Namespace,
  terms: NamespaceTerms,
  now: number,
): readonly RoleEdit[] {
  const targets = topTargets(state);
  const old = namespaceTerms(targets, namespace);
  const ifThere = (role: string): readonly RoleEdit[] =>
    currentRole(state.set, role) ? [again(state, role, now)] : [];
  const isStillSigned = keepsAll(old.signers, terms.signers) && terms.threshold <= old.threshold;
  return [
    { role: 'targets', change: redelegateNamespace(targets, namespace, terms) },
    ...(isStillSigned ? [] : ifThere(namespace)),
    ...(keepsAll(old.revokers, terms.revokers) ? [] : ifThere(revokerOf(namespace))),
  ];
}

function keepsAll(old: readonly string[], next: readonly string[]): boolean {
  return old.every((key) => next.includes(key));
}

function topTargets({ set: trusted }: RealmState): Verified<Targets> {
  const targets = currentRole(trusted, 'targets');
  if (!targets) throw new ClientError('not-found', 'the service publishes no targets role');
  return targets;
}
