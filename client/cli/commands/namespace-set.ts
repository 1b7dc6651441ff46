// `lapse namespace set`: gives a namespace other people or another policy, e.g. when somebody joins, leaves, or lost a key.
// What only keys that leave have signed is signed again in the same publish, so that no host ever meets a namespace that
// does not verify.
import type { JsonObject } from '../../../manifest/json.ts';
import type { Namespace } from '../../../manifest/names.ts';
import { parseNamespace } from '../../../manifest/names.ts';
import { catchUp } from '../../../manifest/realm/change.ts';
import { namespaceTerms, redelegateNamespace, revokerOf } from '../../../manifest/realm/realm.ts';
import type { NamespaceTerms } from '../../../manifest/realm/realm.ts';
import { currentRole } from '../../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../../errors.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Register } from '../command.ts';
import { listed } from '../confirmation.ts';
import type { Identities } from '../identities.ts';
import { WHO, changedTerms, checkPools, termsJson, withTermsOptions } from '../namespace-terms.ts';
import type { TermsOptions } from '../namespace-terms.ts';
import { asUsage } from '../options.ts';
import { rewrap } from '../rewrap.ts';
import type { Rewrapped } from '../rewrap.ts';
import { Session, roleOf, secretsOf, targetsOf } from '../session.ts';
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
  const terms = await changedTerms(
    namespaceTerms(roleOf(session.state, 'targets'), namespace),
    options,
    identities,
  );
  checkPools(terms, session);
  await session.ready('targets');
  const isSignable = await canSign(terms, identities);
  const watch = new Stopwatch(clock);
  let rewrapped: Rewrapped | undefined;
  const published = await session.publish(watch, async (state) => {
    const now = clock.now();
    rewrapped = await rewrap(session, namespace, caughtUp(state, namespace, now), terms.policy.custodians);
    const { roles, targets } = edits(state, namespace, terms, now);
    const isWrapped = rewrapped.wrapped.length > 0 && (isSignable || roles.has(namespace));
    if (isWrapped) roles.set(namespace, { targets: rewrapped.targets });
    else rewrapped = { ...rewrapped, wrapped: [], left: [...rewrapped.wrapped, ...rewrapped.left] };
    return { roles: [targets, ...[...roles].map(([role, change]) => ({ role, change }))], files: [] };
  });
  await session.refresh();
  output.result(
    [
      `Namespace ${namespace} has new terms: ${terms.threshold} of ${terms.signers.length} signers, ` +
        `${terms.revokers.length} revokers, ${terms.policy.custodians.length} custodians.`,
      ...(rewrapped ? rewrappedLines(rewrapped) : []),
      ...(terms.policy.whenStale === 'serve'
        ? ['Secrets in it may be served without any bound on revocation.']
        : []),
    ],
    {
      namespace,
      ...termsJson(terms),
      signedAgain: [...published.roles.keys()],
      rewrapped: rewrapped?.wrapped ?? [],
      notRewrapped: rewrapped?.left ?? [],
      timestamp: published.timestamp,
      ...watch.report(),
    },
  );
}

/** What targets says then, and the roles that must be signed again with it, in their order. */
function edits(state: RealmState, namespace: Namespace, terms: NamespaceTerms, now: number) {
  const targets = roleOf(state, 'targets');
  const old = namespaceTerms(targets, namespace);
  const isStillSigned = keepsAll(old.signers, terms.signers) && terms.threshold <= old.threshold;
  const leaving = [
    ...(isStillSigned ? [] : [namespace]),
    ...(keepsAll(old.revokers, terms.revokers) ? [] : [revokerOf(namespace)]),
  ].filter((role) => currentRole(state.set, role));
  return {
    targets: { role: 'targets', change: redelegateNamespace(targets, namespace, terms) },
    roles: new Map(leaving.map((role) => [role, again(state, role, now).change])),
  };
}

function caughtUp(state: RealmState, namespace: Namespace, now: number): JsonObject {
  return catchUp(targetsOf(state, namespace), state.secrets.get(namespace)?.values() ?? [], now);
}

/** Whether enough signers are at hand to sign the namespace again, where that is good but not needed. */
async function canSign({ signers, threshold }: NamespaceTerms, identities: Identities): Promise<boolean> {
  const { identities: known } = await identities.list();
  return known.filter(({ signing }) => signers.includes(signing)).length >= threshold;
}

function rewrappedLines({ wrapped, left }: Rewrapped): readonly string[] {
  return [
    ...(wrapped.length > 0 ? [`Wrapped for the new custodians, too: ${listed(wrapped)}`] : []),
    ...(left.length > 0 ? [`Not for the new custodians until it is rotated: ${listed(left)}`] : []),
  ];
}

function keepsAll(old: readonly string[], next: readonly string[]): boolean {
  return old.every((key) => next.includes(key));
}
