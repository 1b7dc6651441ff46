// `lapse pool`: the sets of hosts that share a decryption key, and that key's epochs.
import type { PoolName } from '../../../manifest/names.ts';
import { parsePoolName } from '../../../manifest/names.ts';
import { activeHosts } from '../../../manifest/realm/hosts.ts';
import { FLEET, FLEET_HOSTS } from '../../../manifest/realm/realm.ts';
import { ClientError } from '../../errors.ts';
import type { Context, Register } from '../command.ts';
import { FleetChange, exposedVersions, poolOf } from '../fleet-change.ts';
import { asUsage } from '../options.ts';
import { columns, counted } from '../output.ts';
import { PoolKeys } from '../pool-keys.ts';
import { Session } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';

export const registerPool: Register = (program, run) => {
  const pool = program.command('pool').summary('sets of hosts that share a key');
  const named = (word: string, summary: string, description: string, work: Work): void => {
    pool
      .command(word)
      .argument('<name>')
      .summary(summary)
      .description(description)
      .addHelpText('after', `\n  lapse pool ${word} web`)
      .action((name: string) =>
        run((context) =>
          work(
            context,
            asUsage(() => parsePoolName(name)),
          ),
        ),
      );
  };
  named('add', 'make a pool', 'Makes a pool and its first key. Hosts join it by invitation.', add);
  named(
    'rotate',
    "start a pool's next key",
    'Starts the next epoch: what is put from now on is encrypted to a new key, which every member gets.',
    rotate,
  );
  named(
    'rewrap',
    "give the pool's keys to its members again",
    "Writes the keyring of every member anew, from the custodians' copies: after the loss of keyrings.",
    rewrap,
  );
  pool
    .command('list')
    .summary('list pools, their epochs and members')
    .addHelpText('after', '\n  lapse pool list')
    .action(() => run(list));
};

type Work = (context: Context, pool: PoolName) => Promise<void>;

async function add(context: Context, pool: PoolName): Promise<void> {
  await changeFleet(
    context,
    pool,
    [FLEET],
    `Pool ${pool} is there; next: lapse host invite --pool ${pool}`,
    async (change, session) => {
      if (session.fleet.pools.has(pool)) {
        throw new ClientError(
          'pool-exists',
          `there is a pool ${pool} already; its next key: lapse pool rotate`,
        );
      }
      await change.addEpoch(pool);
      return 0;
    },
  );
}

async function rotate(context: Context, pool: PoolName): Promise<void> {
  await changeFleet(
    context,
    pool,
    [FLEET, FLEET_HOSTS],
    `Pool ${pool} has a new key`,
    async (change, session) => {
      poolOf(session.fleet, pool);
      await change.addEpoch(pool);
      return change.writeMembers(new Set([pool]));
    },
  );
}

async function rewrap(context: Context, pool: PoolName): Promise<void> {
  await changeFleet(
    context,
    pool,
    [FLEET_HOSTS],
    `Pool ${pool} is wrapped again`,
    async (change, session) => {
      poolOf(session.fleet, pool);
      const members = await change.writeMembers(new Set([pool]));
      if (members === 0) throw new ClientError('host-missing', `the pool ${pool} has no members`);
      return members;
    },
  );
}

async function changeFleet(
  context: Context,
  pool: PoolName,
  roles: readonly string[],
  said: string,
  work: (change: FleetChange, session: Session) => Promise<number>,
): Promise<void> {
  const session = await Session.open(context);
  await session.ready(...roles);
  using keys = new PoolKeys(session.updater.realm, session.identities);
  const watch = new Stopwatch(context.clock);
  let members = 0;
  const publication = await session.publish(watch, async () => {
    const change = new FleetChange(session, keys);
    members = await work(change, session);
    watch.lap('wrap');
    return change.edit();
  });
  await session.refresh();
  const epoch = session.fleet.pools.get(pool)?.epoch ?? 0;
  context.output.result([members > 0 ? `${said}, for ${counted(members, 'member')}.` : `${said}.`], {
    pool,
    epoch,
    members,
    timestamp: publication.timestamp,
    ...watch.report(),
  });
}

async function list(context: Context): Promise<void> {
  const session = await Session.open(context);
  const { fleet, state } = session;
  const members = activeHosts(state.hosts, fleet);
  const pools = [...fleet.pools.values()].map(({ name, epoch, epochs }) => ({
    pool: name,
    epoch,
    epochs: [...epochs.keys()],
    hosts: members.filter(({ pools: of }) => of.includes(name)).map((host) => host.name),
    namespaces: [...state.policies].flatMap(([namespace, { policy }]) =>
      policy.pools.includes(name) ? [namespace] : [],
    ),
    exposed: exposedVersions(state, new Set([name])),
  }));
  const rows = pools.map(({ pool, epoch, hosts, namespaces, exposed }) => [
    pool,
    String(epoch),
    String(hosts.length),
    namespaces.join(', ') || '-',
    String(exposed.length),
  ]);
  context.output.result(columns([['POOL', 'EPOCH', 'HOSTS', 'NAMESPACES', 'EXPOSED'], ...rows]), { pools });
}
