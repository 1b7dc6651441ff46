// `lapse renew`: signs roles again as they are, before they expire: hosts refuse what has expired, and a dishonest service can
// hide a newer version no longer than the older one lasts.
import { catchUp } from '../../../manifest/realm/change.ts';
import { FLEET, FLEET_HOSTS, delegatorOf } from '../../../manifest/realm/realm.ts';
import { currentRole, roleKeys } from '../../../manifest/tuf/trusted-set.ts';
import type { Namespace } from '../../../manifest/names.ts';
import { EXCHANGE_LIMITS } from '../../../manifest/realm/exchange.ts';
import { ClientError } from '../../errors.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Register } from '../command.ts';
import { Session, lifetimeMs, targetsOf } from '../session.ts';
import type { RoleEdit } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';

export const registerRenew: Register = (program, run) => {
  program
    .command('renew')
    .argument('[roles...]', 'default: those whose time is half over, and that can be signed here')
    .summary('sign roles again, before they expire')
    .description('Signs the next version of roles, unchanged, with a new expiry.')
    .option('--expired', 'also what has expired, though nobody can tell then whether it is the newest')
    .addHelpText(
      'after',
      '\n  lapse renew\n  lapse renew payments payments-revoker\n  lapse renew targets --expired',
    )
    .action((roles: readonly string[], options: RenewOptions) =>
      run((context) => renew(context, roles, options)),
    );
};

interface RenewOptions {
  readonly expired?: boolean;
}

export async function renew(
  context: Context,
  named: readonly string[],
  { expired = false }: RenewOptions,
): Promise<void> {
  const session = await Session.open(context, { expired });
  const roles = named.length > 0 ? check(session.state, named) : await ageing(session);
  if (roles.length === 0) {
    context.output.result(['Nothing that can be signed here needs it.'], { roles: [] });
    return;
  }
  await session.ready(...roles);
  const watch = new Stopwatch(context.clock);
  const { timestamp } = await session.publish(watch, (state) => ({
    roles: roles.map((role) => again(state, role, context.clock.now())),
    files: [],
  }));
  await session.refresh();
  context.output.result([`Signed again: ${roles.join(', ')}.`], { roles, timestamp, ...watch.report() });
}

/** In the order in which they delegate. @throws ClientError usage */
function check({ set }: RealmState, named: readonly string[]): readonly string[] {
  const unknown = named.find((role) => role === 'root' || !currentRole(set, role));
  if (unknown === undefined && named.length <= EXCHANGE_LIMITS.rolesPerPublish) return ordered(named);
  throw new ClientError(
    'usage',
    `up to ${EXCHANGE_LIMITS.rolesPerPublish} roles of lapse status, and not ${unknown ?? 'more'}`,
  );
}

async function ageing({ state, identities, clock }: Session): Promise<readonly string[]> {
  const roles: string[] = [];
  for (const name of state.set.targets.keys()) {
    const role = currentRole(state.set, name);
    if (!role || role.role.expires - clock.now() >= lifetimeMs(name) / 2) continue;
    const { keys, threshold } = roleKeys(state.set, name, delegatorOf(name));
    if ((await identities.among(keys.keys())).length >= threshold) roles.push(name);
  }
  return ordered(roles).slice(0, EXCHANGE_LIMITS.rolesPerPublish);
}

/** The next version of a role as it is; a namespace takes over what its revoker took back meanwhile. */
export function again(state: RealmState, role: string, now: number): RoleEdit {
  const secrets = state.secrets.get(role as Namespace);
  return { role, change: secrets ? { targets: catchUp(targetsOf(state, role), secrets.values(), now) } : {} };
}

const ORDER = ['targets', FLEET, FLEET_HOSTS];

/** Delegators first. */
function ordered(roles: readonly string[]): readonly string[] {
  const rank = (role: string): number => (ORDER.includes(role) ? ORDER.indexOf(role) : ORDER.length);
  return [...new Set(roles)].sort((a, b) => rank(a) - rank(b));
}
