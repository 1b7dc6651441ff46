// `lapse namespace add`: delegates a namespace to its signers, and says what it may ask of hosts. Needs the keys of targets.
import { LIMITS } from '../../../manifest/limits.ts';
import { parseNamespace, parsePoolName } from '../../../manifest/names.ts';
import type { Namespace, PoolName } from '../../../manifest/names.ts';
import type { Policy } from '../../../manifest/realm/policy.ts';
import { delegateNamespace } from '../../../manifest/realm/realm.ts';
import type { NamespaceTerms } from '../../../manifest/realm/realm.ts';
import { recipientOf } from '../../../manifest/realm/recipient.ts';
import { currentRole } from '../../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../../errors.ts';
import type { PublicKeys } from '../../identity/identity.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Register } from '../command.ts';
import type { Identities } from '../identities.ts';
import { asUsage, collect, parseCount, parseSeconds } from '../options.ts';
import { Session } from '../session.ts';
import type { RoleEdit } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';

interface AddOptions {
  readonly signer?: readonly string[];
  readonly threshold: string;
  readonly custodian?: readonly string[];
  readonly revoker?: readonly string[] | false;
  readonly pool?: readonly string[];
  readonly whenStaleServe?: boolean;
  readonly lease?: string;
}

const SELF = ['operator'];

export const registerNamespace: Register = (program, run) => {
  const namespace = program.command('namespace').summary('add a namespace, one per team');
  namespace
    .command('add')
    .argument('<name>', 'lower-case letters, digits and hyphens')
    .summary('delegate a namespace')
    .description('Delegates NAME/* to its signers. Needs the root identity, which signs targets.')
    .option('--signer <who>', 'publishes secrets (default: operator; repeatable)', collect)
    .option('--threshold <number>', 'how many signers it takes', '1')
    .option('--custodian <who>', 'can decrypt what is put (default: operator; repeatable)', collect)
    .option(
      '--revoker <who>',
      'can take back, alone, and nothing else (default: operator; repeatable)',
      collect,
    )
    .option('--no-revoker', 'only signers can take back')
    .option('--pool <name>', 'hosts that may serve it (default: default; repeatable)', collect)
    .option('--lease <time>', "a lease shorter than the realm's")
    .option('--when-stale-serve', 'secrets may ask to be served on after the lease, without any bound')
    .addHelpText(
      'after',
      `
WHO is the name of an identity here, or a public line (lapse identity show NAME, on their machine).

  lapse namespace add payments
  lapse namespace add payments --signer lapse1… --signer lapse1… --threshold 2 --revoker lapse1…`,
    )
    .action((name: string, options: AddOptions) => run((context) => add(context, name, options)));
};

async function add(context: Context, text: string, options: AddOptions): Promise<void> {
  const { clock, output, identities } = context;
  const namespace = asUsage(() => parseNamespace(text));
  const terms = await termsOf(options, identities);
  const session = await Session.open(context);
  for (const pool of terms.policy.pools) {
    if (!session.fleet.pools.has(pool))
      throw new ClientError('pool-unknown', `the fleet has no pool ${pool}`);
  }
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
      `Next: lapse secret put ${namespace}/db-password --grant WORKLOAD`,
    ],
    {
      namespace,
      signers: terms.signers.length,
      threshold: terms.threshold,
      revokers: terms.revokers.length,
      custodians: terms.policy.custodians.length,
      pools: terms.policy.pools,
      begun: isMine,
      timestamp: published.timestamp,
      ...watch.report(),
    },
  );
}

function delegation({ set }: RealmState, namespace: Namespace, terms: NamespaceTerms): RoleEdit {
  const targets = currentRole(set, 'targets');
  if (!targets) throw new ClientError('not-found', 'the service publishes no targets role');
  return { role: 'targets', change: delegateNamespace(targets, namespace, terms) };
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

/** @throws ClientError usage, identity-unknown, public-line-invalid */
async function termsOf(options: AddOptions, identities: Identities): Promise<NamespaceTerms> {
  const signers = (await people(options.signer ?? SELF, identities)).map(({ signing }) => signing);
  const revokers = options.revoker === false ? [] : await people(options.revoker ?? SELF, identities);
  return {
    signers,
    threshold: parseCount(options.threshold, '--threshold', 1, signers.length),
    revokers: revokers.map(({ signing }) => signing),
    policy: policyOf(options, await people(options.custodian ?? SELF, identities)),
  };
}

function policyOf({ pool, lease, whenStaleServe }: AddOptions, custodians: readonly PublicKeys[]): Policy {
  const pools = asUsage(() => [...new Set<PoolName>((pool ?? ['default']).map(parsePoolName))]);
  return {
    pools,
    custodians: custodians.map(({ decryption }) => recipientOf(decryption)),
    ...(lease === undefined ? {} : { leaseSeconds: parseSeconds(lease, '--lease', 1, LIMITS.leaseSeconds) }),
    whenStale: whenStaleServe === true ? 'serve' : 'deny',
  };
}

/** Each person once. */
async function people(named: readonly string[], identities: Identities): Promise<readonly PublicKeys[]> {
  const found = new Map<string, PublicKeys>();
  for (const who of named) {
    const keys = await identities.publicOf(who);
    found.set(keys.keyid, keys);
  }
  return [...found.values()];
}
