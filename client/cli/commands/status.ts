// `lapse status`: what this operator's machine can verify about the realm: what hangs on a single key or person, what ages,
// the fleet and when each host was heard of, what is exposed or unfinished, and the bounds that hold.
import type { Fleet } from '../../../manifest/realm/fleet.ts';
import { activeHosts } from '../../../manifest/realm/hosts.ts';
import { delegatorOf, revokerOf } from '../../../manifest/realm/realm.ts';
import { formatInstant } from '../../../manifest/shape.ts';
import { currentRole, roleKeys } from '../../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../../manifest/tuf/trusted-set.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Register } from '../command.ts';
import { listed } from '../confirmation.ts';
import { exposedVersions } from '../fleet-change.ts';
import { columns, counted } from '../output.ts';
import { unfinishedRotations } from '../pending-rotation.ts';
import { ReceiptReader, newestReceipts } from '../receipt-watch.ts';
import { Session, failureLines, failuresJson, lifetimeMs } from '../session.ts';
import { hostJson } from './host-list.ts';

export const registerStatus: Register = (program, run) => {
  program
    .command('status')
    .summary('show the realm, verified afresh')
    .description(
      'Fetches and verifies the realm, and names what hangs on a single key, what ages, and which bounds hold.',
    )
    .addHelpText('after', '\n  lapse status')
    .action(() => run(status));
};

interface RoleStatus {
  readonly role: string;
  readonly version: number;
  readonly expires: number;
  readonly threshold: number;
  readonly keys: number;
}

async function status(context: Context): Promise<void> {
  const session = await Session.open(context);
  const { state } = session;
  const roles = roleStatus(state.set);
  const reader = new ReceiptReader(session);
  const members = state.fleet ? activeHosts(state.hosts, state.fleet) : [];
  const receipts = await newestReceipts(session, reader, members);
  const hosts = members.map((host) => hostJson(host, receipts.get(host.name)));
  const weak = await weaknesses(context, state, roles);
  const ageing = roles.filter((role) => isAgeing(role, context.clock.now())).map(({ role }) => role);
  const exposed = exposedVersions(state);
  const unfinished = await unfinishedRotations(context.directory);
  const lease = leaseOf(state);
  context.output.result(
    [
      `Realm ${session.updater.realm.slice(0, 16)} on ${session.transport.url}, lease ${lease} s`,
      ...columns([['ROLE', 'VERSION', 'EXPIRES', 'KEYS'], ...roles.map(roleRow)]),
      ...[...state.secrets].map(([namespace, secrets]) => `${namespace}: ${counted(secrets.size, 'secret')}`),
      ...(state.fleet ? fleetLines(state.fleet, hosts) : []),
      ...failureLines(state),
      ...reader.alarms.map((alarm) => `ALARM: ${alarm}`),
      ...(exposed.length > 0 ? [`Exposed to former members until rotated: ${listed(exposed)}`] : []),
      ...unfinished.map(
        (secret) => `A rotation was broken off: lapse rotate ${secret} --resume, or --abandon`,
      ),
      ...ageingLines(ageing),
      ...weak,
      ...bounds(state, roles, lease),
    ],
    {
      realm: session.updater.realm,
      service: session.transport.url,
      lease,
      roles: roles.map((role) => ({ ...role, expires: formatInstant(role.expires) })),
      namespaces: [...state.secrets].map(([namespace, secrets]) => ({ namespace, secrets: secrets.size })),
      pools: [...(state.fleet?.pools.values() ?? [])].map(({ name, epoch }) => ({ pool: name, epoch })),
      hosts,
      failures: failuresJson(state),
      alarms: [...state.alarms.map(({ message }) => message), ...reader.alarms],
      exposed,
      unfinished,
      ageing,
      weaknesses: weak,
    },
  );
}

function roleStatus(set: TrustedSet): readonly RoleStatus[] {
  const { root, timestamp, snapshot } = set;
  const online = { timestamp, snapshot };
  const top = (['root', 'timestamp', 'snapshot'] as const).flatMap((role) => {
    const file = role === 'root' ? root : online[role];
    const { threshold, keys } = root.role.roles[role];
    return file
      ? [{ role, version: file.role.version, expires: file.role.expires, threshold, keys: keys.size }]
      : [];
  });
  const names = ['targets', ...[...set.targets.keys()].filter((name) => name !== 'targets')];
  return [
    ...top,
    ...names.flatMap((role) => {
      const file = currentRole(set, role);
      if (!file) return [];
      const { threshold, keys } = keysOf(set, role);
      return [{ role, version: file.role.version, expires: file.role.expires, threshold, keys: keys.size }];
    }),
  ];
}

function keysOf(set: TrustedSet, role: string) {
  return role === 'targets' ? set.root.role.roles.targets : roleKeys(set, role, delegatorOf(role));
}

function roleRow({ role, version, expires, threshold, keys }: RoleStatus): readonly string[] {
  return [role, String(version), formatInstant(expires), `${threshold} of ${keys}`];
}

/** The online roles are signed again on demand; only what people sign can be forgotten. */
function isAgeing({ role, expires }: RoleStatus, now: number): boolean {
  return role !== 'timestamp' && role !== 'snapshot' && expires - now < lifetimeMs(role) / 2;
}

function ageingLines(ageing: readonly string[]): readonly string[] {
  const roles = ageing.filter((role) => role !== 'root');
  const soon = 'Sign again soon, half of the time is over:';
  return [
    ...(roles.length < ageing.length ? [`${soon} lapse root extend`] : []),
    ...(roles.length > 0 ? [`${soon} lapse renew ${roles.join(' ')}`] : []),
  ];
}

function fleetLines(
  { pools }: Fleet,
  hosts: readonly { host: string; lastReceipt: string | null }[],
): readonly string[] {
  const names = [...pools.values()].map(({ name, epoch }) => `${name} (epoch ${epoch})`).join(', ');
  const heard = hosts.map(({ host, lastReceipt }) => `  ${host}  last receipt ${lastReceipt ?? 'none'}`);
  return [`Pools: ${names || 'none'}; ${counted(hosts.length, 'host')}`, ...heard];
}

/** What one key, one person, or one file alone can do. */
async function weaknesses(
  { identities }: Context,
  { policies, fleet }: RealmState,
  roles: readonly RoleStatus[],
): Promise<readonly string[]> {
  const isMeantSo = (role: string): boolean => role.endsWith('-revoker');
  const single = roles
    .filter(({ role, threshold }) => threshold === 1 && !isMeantSo(role))
    .map(({ role }) => role);
  const alone = [...policies]
    .filter(([, { policy }]) => policy.custodians.length === 1)
    .map(([name]) => name);
  const noRevoker = [...policies].filter(([, { hasRevoker }]) => !hasRevoker).map(([name]) => name);
  const { identities: known } = await identities.list();
  const bare = known.filter(({ file }) => file && !file.isProtected).map(({ name }) => name);
  return [
    ...(single.length > 0 ? [`One key alone can speak for: ${single.join(', ')}`] : []),
    ...(alone.length > 0 ? [`One custodian alone can decrypt, and lose: ${alone.join(', ')}`] : []),
    ...(fleet?.custodians.length === 1 ? ["One custodian alone has the pools' keys"] : []),
    ...(noRevoker.length > 0 ? [`Without a revoker: ${noRevoker.join(', ')}`] : []),
    ...(bare.length > 0 ? [`Without a passphrase: ${bare.join(', ')}`] : []),
  ];
}

/** Against a service that fails, and against one that lies. */
function bounds(
  { policies, secrets }: RealmState,
  roles: readonly RoleStatus[],
  lease: number,
): readonly string[] {
  const served = [...secrets.values()]
    .flatMap((of) => [...of.values()])
    .filter(
      ({ namespace, whenStale }) =>
        whenStale === 'serve' && policies.get(namespace)?.policy.whenStale === 'serve',
    )
    .map(({ namespace, name }) => `${namespace}/${name}`);
  const taking = roles.filter(({ role }) =>
    [...policies.keys()].some((name) => role === name || role === revokerOf(name)),
  );
  const last = Math.max(...taking.map(({ expires }) => expires));
  return [
    `A host that hears nothing serves for ${lease} s at most`,
    ...(served.length > 0 ? [`  but without any bound: ${listed(served)}`] : []),
    ...(taking.length > 0
      ? [
          `A dishonest service can hide a revocation until what it withholds expires: ${formatInstant(last)} at the latest`,
        ]
      : []),
  ];
}

function leaseOf(state: RealmState): number {
  return state.set.timestamp?.role.lease ?? 0;
}
