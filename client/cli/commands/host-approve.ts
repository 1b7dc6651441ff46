// `lapse host approve`: lets in a host that asked with an invitation of this directory: checks that its request is whole,
// shows its keys, signs its record, and wraps its pools' keys to it.
import type { Command } from 'commander';
import { isRemoved } from '../../../manifest/realm/fleet.ts';
import { FLEET_HOSTS } from '../../../manifest/realm/realm.ts';
import type { JoinRequest } from '../../../manifest/realm/invite.ts';
import { thumbprint } from '../../../manifest/realm/recipient.ts';
import { isLapseError } from '../../../manifest/errors.ts';
import { ClientError } from '../../errors.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Run } from '../command.ts';
import { confirm } from '../confirm.ts';
import { FleetChange, poolOf } from '../fleet-change.ts';
import { Invitations } from '../invitations.ts';
import { PoolKeys } from '../pool-keys.ts';
import { Session } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';

export function registerApprove(host: Command, run: Run): void {
  host
    .command('approve')
    .argument('[name|id]', 'which one, when several have asked')
    .summary('let a host in that has asked to join')
    .description(
      'Checks that the request was made with an invitation of this directory, shows its keys, and signs it in.',
    )
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      `
Compare the keys with what lapsed join printed on the host. Needs the fleet's signers and one of its
custodians, who holds the pools' keys.

  lapse host approve web-1`,
    )
    .action((named: string | undefined, options: { yes?: boolean }) =>
      run((context) => approve(context, named, options.yes ?? false)),
    );
}

async function approve(context: Context, named: string | undefined, yes: boolean): Promise<void> {
  const session = await Session.open(context);
  const invitations = new Invitations(context.directory, session.updater.realm);
  const request = await chosen(session, invitations, named, context.clock.now());
  await invitations.sweep(context.clock.now(), memberKeys(session.state));
  if (!request) {
    context.output.result([`${named ?? ''} is a member already.`], { host: named ?? '', already: true });
    return;
  }
  await approveRequest(context, session, invitations, request, yes);
}

/** Shows one request, asks, and publishes the host; a run that was broken off is ended by the next. */
export async function approveRequest(
  context: Context,
  session: Session,
  invitations: Invitations,
  request: JoinRequest,
  yes: boolean,
): Promise<void> {
  const { clock, output } = context;
  const { name, pools } = request;
  await invitations.check(request, clock.now());
  const kid = thumbprint(request.signing);
  const json = { host: name, pools, signing: kid, encryption: thumbprint(request.encryption) };
  if (isMember(session.state, request)) {
    await invitations.burn(request);
    output.result([`${name} is a member already.`], { ...json, already: true });
    return;
  }
  for (const pool of pools) poolOf(session.fleet, pool);
  output.progress(
    `${name} asks to join ${pools.join(', ')}.`,
    `  signing key     ${kid}`,
    `  encryption key  ${json.encryption}`,
  );
  await confirm(`Let ${name} in?`, yes);
  await session.ready(FLEET_HOSTS);
  await invitations.use(request);
  using keys = new PoolKeys(session.updater.realm, session.identities);
  const watch = new Stopwatch(clock);
  const { timestamp } = await session.publish(watch, async (state) => {
    checkName(state, request);
    const change = new FleetChange(session, keys);
    await change.writeHost({ ...request, joined: clock.now() });
    watch.lap('wrap');
    return change.edit();
  });
  await invitations.burn(request);
  await session.refresh();
  output.result([`${name} is a member of ${pools.join(', ')}.`], { ...json, timestamp, ...watch.report() });
}

/** The signing keys of everybody who is in. */
export function memberKeys({ hosts }: RealmState): ReadonlySet<string> {
  return new Set([...hosts.values()].map(({ kid }) => kid));
}

/**
 * The one that is meant; undefined for a member that asks for nothing any more. What does not come from an invitation of
 * this directory is not even looked at.
 */
async function chosen(
  session: Session,
  invitations: Invitations,
  named: string | undefined,
  now: number,
): Promise<JoinRequest | undefined> {
  const asked = await session.transport.joins();
  const wanted = asked.filter(({ name, id }) => named === undefined || named === name || named === id);
  const whole: JoinRequest[] = [];
  const refused: unknown[] = [];
  for (const request of wanted) {
    try {
      await invitations.check(request, now);
      whole.push(request);
    } catch (error) {
      if (!isLapseError(error)) throw error;
      refused.push(error);
    }
  }
  const [only, ...others] = whole;
  if (only && others.length === 0) return only;
  if (only) {
    const names = whole.map(({ name, id }) => `${name} (${id})`).join(', ');
    throw new ClientError('usage', `several hosts have asked; name one: ${names}`);
  }
  if (refused.length === 1) throw refused[0];
  if ([...session.state.hosts.keys()].some((name) => name === named)) return undefined;
  throw new ClientError('join-unknown', 'no host has asked to join with an invitation of this directory');
}

function isMember({ hosts, fleet }: RealmState, { name, signing, encryption }: JoinRequest): boolean {
  const member = hosts.get(name);
  const isSame = member?.kid === thumbprint(signing) && member.encryption.x === encryption.x;
  return isSame && !(fleet && isRemoved(fleet, name, member.kid));
}

/** @throws ClientError host-exists */
function checkName({ hosts, fleet }: RealmState, { name, signing }: JoinRequest): void {
  if (hosts.has(name)) {
    throw new ClientError(
      'host-exists',
      `there is a host ${name} already; run first: lapse host remove ${name}`,
    );
  }
  if (fleet && isRemoved(fleet, name, thumbprint(signing))) {
    throw new ClientError('host-exists', `${name} was removed with these keys; it must join with new ones`);
  }
}
