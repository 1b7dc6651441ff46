// `lapse revoke`: takes a secret back, from every host and every open descriptor: all of it, one version, or one workload's
// access. Whoever signs the namespace signs this; where that is not possible here, a revoker alone can do it.
import { parseSecretReference, parseWorkload } from '../../../manifest/names.ts';
import type { SecretReference, Workload } from '../../../manifest/names.ts';
import { catchUp, revokeThrough, revokeVersion, setGrants } from '../../../manifest/realm/change.ts';
import { revokerOf } from '../../../manifest/realm/realm.ts';
import { isRevoked } from '../../../manifest/realm/revocation.ts';
import { withdrawGrant, withdrawThrough, withdrawVersion } from '../../../manifest/realm/revoker.ts';
import { readers } from '../../../manifest/realm/secret.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import { liveVersions } from '../../../manifest/realm/succession.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { object } from '../../../manifest/shape.ts';
import { currentRole, roleKeys } from '../../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../../errors.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Register } from '../command.ts';
import { confirm } from '../confirm.ts';
import {
  awaitedHosts,
  confirmAgain,
  listed,
  publishConfirmed,
  report,
  servesStale,
} from '../confirmation.ts';
import type { Change } from '../confirmation.ts';
import { WAITING_HELP, asUsage, parseWait, withWaiting } from '../options.ts';
import type { WaitWords } from '../options.ts';
import { counted } from '../output.ts';
import { explainInNamespace, explainInRevoker, parseReason } from '../reason.ts';
import type { Reason } from '../reason.ts';
import { Session, secretOf, secretsOf, targetsOf } from '../session.ts';
import type { RoleEdit } from '../session.ts';
import { withoutGrant } from './grant.ts';

interface RevokeOptions extends WaitWords {
  readonly workload?: string;
  readonly reason?: string;
  readonly yes?: boolean;
}

export const registerRevoke: Register = (program, run) => {
  withWaiting(
    program
      .command('revoke')
      .argument('<namespace/name[@version]>')
      .summary('take a secret back, open files included')
      .description(
        'Revokes every version up to the newest, or with @VERSION that one alone. It cannot be undone.',
      )
      .option('--workload <name>', 'only the access of that workload')
      .option('--reason <text>', 'why, for those who look later (lapse secret show)')
      .option('-y, --yes', 'do not ask'),
  )
    .addHelpText(
      'after',
      `
Names vanish, open descriptors answer EACCES, mappings SIGBUS. Bytes that a process has read already
cannot be recalled: rotate the credential at its source as well. A revoker of the namespace can do this
alone, whatever the namespace's own threshold. Revoking again does no harm, and waits again.
${WAITING_HELP}

  lapse revoke payments/db-password
  lapse revoke payments/db-password@3 --reason "in a log file" --yes
  lapse revoke payments/db-password --workload web`,
    )
    .action((name: string, options: RevokeOptions) => run((context) => revoke(context, name, options)));
};

/** What is taken back of a secret. */
interface Taking {
  readonly reference: SecretReference;
  readonly workload: Workload | undefined;
  /** `payments/db@3 for web`. */
  readonly what: string;
  readonly reason: string | undefined;
}

async function revoke(context: Context, text: string, options: RevokeOptions): Promise<void> {
  const taking = parseTaking(text, options);
  const { namespace, name, version } = taking.reference;
  const wait = parseWait(options);
  const session = await Session.open(context);
  const known = secretOf(secretsOf(session.state, namespace), namespace, name);
  const isDone = isTaken(known, taking);
  const role = isDone ? namespace : await signingRole(session, taking);
  const change: Change = {
    namespace,
    role,
    names: [name],
    options: wait,
    said: (ms) => [
      isDone ? `${taking.what} is revoked already.` : `${taking.what} is revoked; published after ${ms} ms.`,
    ],
  };
  if (!isDone) await confirm(preview(session.state, known, taking).join('\n'), options.yes ?? false);
  const outcome = isDone
    ? await confirmAgain(context, session, change)
    : await publishConfirmed(context, session, change, (state) => ({
        roles: [role === namespace ? inNamespace(state, taking, context) : inRevoker(state, taking, context)],
        files: [],
      }));
  report(context, outcome, change, {
    secret: `${namespace}/${name}`,
    ...(version === undefined ? {} : { version }),
    ...(taking.workload === undefined ? {} : { workload: taking.workload }),
    ...(isDone ? { already: true } : {}),
    role,
    revokedThrough: session.state.secrets.get(namespace)?.get(name)?.revokedThrough ?? 0,
  });
}

function parseTaking(text: string, { workload, reason }: RevokeOptions): Taking {
  const reference = asUsage(() => parseSecretReference(text));
  if (workload !== undefined && reference.version !== undefined) {
    throw new ClientError(
      'usage',
      "--workload takes back the workload's access as a whole, without @VERSION",
    );
  }
  return {
    reference,
    workload: workload === undefined ? undefined : asUsage(() => parseWorkload(workload)),
    what: workload === undefined ? text : `${text} for ${workload}`,
    reason: parseReason(reason),
  };
}

/** Revoking again is no mistake in an incident. @throws ClientError secret-unknown, grant-unknown */
function isTaken(secret: Secret, { reference: { version }, workload, what }: Taking): boolean {
  if (workload !== undefined) {
    if ((secret.withheld.get(workload) ?? 0) >= secret.newestVersion) return true;
    withoutGrant(secret.grants, workload, what.slice(0, what.indexOf(' ')));
    return false;
  }
  if (version === undefined) return secret.revokedThrough >= secret.newestVersion;
  if (version > secret.newestVersion) {
    throw new ClientError('secret-unknown', `the newest version is ${secret.newestVersion}`);
  }
  return isRevoked(secret, version);
}

/**
 * The namespace's own role where its threshold can be met here, else its revoker's.
 * @throws ClientError signatures-missing
 */
async function signingRole(session: Session, { reference: { namespace } }: Taking): Promise<string> {
  const { set, policies } = session.state;
  const own = roleKeys(set, namespace);
  if ((await session.identities.among(own.keys.keys())).length >= own.threshold) return namespace;
  const revoker = revokerOf(namespace);
  if (policies.get(namespace)?.hasRevoker !== true) return namespace;
  const atHand = await session.identities.among(roleKeys(set, revoker).keys.keys());
  return atHand.length > 0 ? revoker : namespace;
}

/** Whom it hits. */
function preview(
  state: RealmState,
  secret: Secret,
  { reference, workload, what }: Taking,
): readonly string[] {
  const { namespace, name, version } = reference;
  const hosts = awaitedHosts(state, namespace).map((host) => host.name);
  const versions = liveVersions(secret).map((live) => live.version);
  const hit =
    workload ??
    (readers(secret, version ?? secret.newestVersion)
      .map((grant) => grant.workload)
      .join(', ') ||
      'nobody');
  return [
    ...(version === undefined && versions.length > 1 ? [`Versions ${versions.join(', ')} live.`] : []),
    ...(hosts.length > 0 ? [`${counted(hosts.length, 'host')} may serve it: ${listed(hosts)}.`] : []),
    ...(servesStale(state, namespace, [name])
      ? ['A host that is cut off goes on serving it (whenStale: serve).']
      : []),
    `Revoke ${what}, read by ${hit}?`,
  ];
}

function inNamespace(state: RealmState, taking: Taking, { clock }: Context): RoleEdit {
  const { namespace, name, version } = taking.reference;
  const secrets = secretsOf(state, namespace);
  const secret = secretOf(secrets, namespace, name);
  const now = clock.now();
  const caught = catchUp(targetsOf(state, namespace), secrets.values(), now);
  const { workload } = taking;
  const targets =
    workload !== undefined
      ? setGrants(
          caught,
          secret,
          secret.grants.filter((grant) => grant.workload !== workload),
        )
      : version === undefined
        ? revokeThrough(caught, secret, secret.newestVersion, now)
        : revokeVersion(caught, secret, version, now);
  const reason = reasonOf(taking, now);
  return {
    role: namespace,
    change: { targets: reason ? explainInNamespace(targets, secret, reason) : targets },
  };
}

function inRevoker(state: RealmState, taking: Taking, { clock }: Context): RoleEdit {
  const { namespace, name, version } = taking.reference;
  const secret = secretOf(secretsOf(state, namespace), namespace, name);
  const role = revokerOf(namespace);
  const before = object(currentRole(state.set, role)?.raw['withdrawals'] ?? {}, 'withdrawals');
  const withdrawals = withdrawn(before, secret, taking.workload, version);
  const reason = reasonOf(taking, clock.now());
  return {
    role,
    change: { withdrawals: reason ? explainInRevoker(withdrawals, secret, reason) : withdrawals },
  };
}

function withdrawn(
  before: JsonObject,
  { name, newestVersion }: Secret,
  workload: Workload | undefined,
  version: number | undefined,
): JsonObject {
  if (workload !== undefined) return withdrawGrant(before, name, workload, newestVersion);
  if (version !== undefined) return withdrawVersion(before, name, version);
  return withdrawThrough(before, name, newestVersion);
}

function reasonOf({ reason, what }: Taking, now: number): Reason | undefined {
  return reason === undefined ? undefined : { at: now, what, text: reason };
}
