// `lapse status`: what this operator's machine can verify about the realm, and what hangs on a single key.
import type { JsonObject } from '../../../manifest/json.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import type { TrustedSet } from '../../../manifest/tuf/trusted-set.ts';
import { currentRole } from '../../../manifest/tuf/trusted-set.ts';
import type { Context, Register } from '../command.ts';
import { columns } from '../output.ts';
import { NAMESPACE_DAYS, Session, failureLines, failuresJson } from '../session.ts';
import type { RealmState } from '../../updater.ts';

const HALF_LIFE_MS = (NAMESPACE_DAYS / 2) * 24 * 3600_000;

export const registerStatus: Register = (program, run) => {
  program
    .command('status')
    .summary('show the realm, verified afresh')
    .description(
      'Fetches and verifies the realm, and names expiries that come near and what hangs on a single key.',
    )
    .action(() => run(status));
};

interface RoleStatus {
  readonly role: string;
  readonly version: number;
  readonly expires: number;
  readonly threshold: number;
}

async function status({ clock, output, directory }: Context): Promise<void> {
  const session = await Session.open(directory, clock);
  const { state } = session;
  const roles = roleStatus(state.set);
  const single = roles.filter((role) => role.threshold === 1).map((role) => role.role);
  const ageing = roles.filter((role) => isAgeing(role, clock.now())).map((role) => role.role);
  output.result(
    [
      `Realm ${session.updater.realm.slice(0, 16)} on ${session.transport.url}, lease ${leaseOf(state)} s`,
      ...columns([
        ['ROLE', 'VERSION', 'EXPIRES', 'THRESHOLD'],
        ...roles.map((role) => [
          role.role,
          String(role.version),
          formatInstant(role.expires),
          String(role.threshold),
        ]),
      ]),
      ...[...state.secrets].map(
        ([namespace, secrets]) =>
          `${namespace}: ${secrets.size} ${secrets.size === 1 ? 'secret' : 'secrets'}`,
      ),
      ...failureLines(state),
      ...(ageing.length > 0 ? [`Sign again soon (half of the time is over): ${ageing.join(', ')}`] : []),
      `One key alone can speak for: ${single.join(', ')}; one custodian alone can decrypt`,
    ],
    statusJson(session, state, roles),
  );
}

function roleStatus(set: TrustedSet): readonly RoleStatus[] {
  const { root, timestamp, snapshot } = set;
  const delegations = currentRole(set, 'targets')?.role.delegations;
  const row = (
    role: string,
    file: { role: { version: number; expires: number } } | undefined,
    threshold: number,
  ) => (file ? [{ role, version: file.role.version, expires: file.role.expires, threshold }] : []);
  return [
    ...row('root', root, root.role.roles.root.threshold),
    ...row('timestamp', timestamp, root.role.roles.timestamp.threshold),
    ...row('snapshot', snapshot, root.role.roles.snapshot.threshold),
    ...row('targets', currentRole(set, 'targets'), root.role.roles.targets.threshold),
    ...[...(delegations?.values() ?? [])].flatMap(({ name, threshold }) =>
      row(name, currentRole(set, name), threshold),
    ),
  ];
}

/** The online roles are signed again on demand; only what people sign can be forgotten. */
function isAgeing({ role, expires }: RoleStatus, now: number): boolean {
  return role !== 'timestamp' && role !== 'snapshot' && expires - now < HALF_LIFE_MS;
}

function leaseOf(state: RealmState): number {
  return state.set.timestamp?.role.lease ?? 0;
}

function statusJson(session: Session, state: RealmState, roles: readonly RoleStatus[]): JsonObject {
  return {
    realm: session.updater.realm,
    service: session.transport.url,
    lease: leaseOf(state),
    roles: roles.map((role) => ({ ...role, expires: formatInstant(role.expires) })),
    namespaces: [...state.secrets].map(([namespace, secrets]) => ({ namespace, secrets: secrets.size })),
    failures: failuresJson(state),
  };
}
