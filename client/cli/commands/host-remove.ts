// `lapse host remove`: a host leaves the fleet. One publish lists it as removed, takes its record away, starts the next epoch
// of each of its pools and writes the keyrings of the members that stay. Run again, it completes whatever is there.
import type { Command } from 'commander';
import { parseHostName } from '../../../manifest/names.ts';
import type { HostName, PoolName } from '../../../manifest/names.ts';
import { FLEET, FLEET_HOSTS } from '../../../manifest/realm/realm.ts';
import { ClientError } from '../../errors.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Run } from '../command.ts';
import { confirm } from '../confirm.ts';
import { FleetChange, exposedVersions } from '../fleet-change.ts';
import { asUsage } from '../options.ts';
import { counted } from '../output.ts';
import { PoolKeys } from '../pool-keys.ts';
import { Session } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';

export function registerRemove(host: Command, run: Run): void {
  host
    .command('remove')
    .argument('<name>')
    .summary('remove a host, and start new keys for its pools')
    .description(
      'Takes a host out of the fleet. Its pools get new keys at once; what it could read stays exposed until rotated.',
    )
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      `
The service cuts the host off; what is put from now on it could not decrypt. What it could read before is
listed: rotate it. Should this be broken off, run it again. Needs the fleet's signers and one custodian.

  lapse host remove web-1`,
    )
    .action((name: string, options: { yes?: boolean }) =>
      run((context) => remove(context, name, options.yes ?? false)),
    );
}

async function remove(context: Context, text: string, yes: boolean): Promise<void> {
  const name = asUsage(() => parseHostName(text));
  const session = await Session.open(context);
  if (!session.state.hosts.has(name)) {
    const at = removedAt(session.state, name);
    if (at === undefined) throw unknown(name);
    tell(context, session.state, [`${name} is removed already.`], { host: name, already: true });
    return;
  }
  const { pools } = recordOf(session.state, name);
  await confirm(`Remove ${name}, a member of ${pools.join(', ')}?`, yes);
  await session.ready(FLEET, FLEET_HOSTS);
  using keys = new PoolKeys(session.updater.realm, session.identities);
  const watch = new Stopwatch(context.clock);
  let members = 0;
  const { timestamp } = await session.publish(watch, async (state) => {
    const record = recordOf(state, name);
    const change = new FleetChange(session, keys);
    change.removeHost(record);
    const known = record.pools.filter((pool) => session.fleet.pools.has(pool));
    for (const pool of known) await change.addEpoch(pool);
    members = await change.writeMembers(new Set<PoolName>(known), name);
    watch.lap('wrap');
    return change.edit();
  });
  await session.refresh();
  tell(
    context,
    session.state,
    [`${name} is removed. New keys for ${pools.join(', ')}: ${counted(members, 'member')}.`],
    { host: name, pools, members, timestamp, ...watch.report() },
    new Set(pools),
  );
}

function tell(
  { output }: Context,
  state: RealmState,
  lines: readonly string[],
  json: Record<string, unknown>,
  pools?: ReadonlySet<PoolName>,
): void {
  const exposed = exposedVersions(state, pools);
  output.result(
    [
      ...lines,
      ...(exposed.length === 0
        ? ['It could read nothing that is alive.']
        : ['It could read these; they stay exposed until rotated:', ...exposed.map((path) => `  ${path}`)]),
    ],
    { ...json, exposed },
  );
}

function recordOf({ hosts }: RealmState, name: HostName) {
  const record = hosts.get(name);
  if (record) return record;
  throw unknown(name);
}

function removedAt({ fleet }: RealmState, name: HostName): number | undefined {
  return fleet?.removals.findLast(({ host }) => host === name)?.at;
}

function unknown(name: string): ClientError {
  return new ClientError('host-missing', `there is no host ${name}; run: lapse host list`);
}
