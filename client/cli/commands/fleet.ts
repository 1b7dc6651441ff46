// `lapse fleet`: who lets hosts in and takes them out, and who has copies of the pools' keys, so that neither hangs on one
// person for ever. `set` changes them: targets, fleet and fleet-hosts are signed in one publish, so that no host ever meets a
// fleet that does not verify.
import type { JsonObject } from '../../../manifest/json.ts';
import { withFleetPeople } from '../../../manifest/realm/fleet.ts';
import type { Fleet, FleetTerms } from '../../../manifest/realm/fleet.ts';
import type { WrappedKey } from '../../../manifest/realm/jwe.ts';
import { wrapPoolKey } from '../../../manifest/realm/pool-key.ts';
import { FLEET, FLEET_HOSTS, fleetSignatories, redelegateFleet } from '../../../manifest/realm/realm.ts';
import { importRecipient, recipientOf } from '../../../manifest/realm/recipient.ts';
import type { Recipient } from '../../../manifest/realm/recipient.ts';
import { ed25519KeyJson, keyId } from '../../../manifest/tuf/keys.ts';
import { ClientError } from '../../errors.ts';
import type { RealmState } from '../../reading.ts';
import type { Context, Register } from '../command.ts';
import { listed } from '../confirmation.ts';
import { WHO, people } from '../namespace-terms.ts';
import { collect, parseCount } from '../options.ts';
import { columns, counted } from '../output.ts';
import { PoolKeys } from '../pool-keys.ts';
import { namesOf } from '../root-signing.ts';
import { Session, roleOf } from '../session.ts';
import { Stopwatch } from '../stopwatch.ts';
import { again } from './renew.ts';

interface FleetOptions {
  readonly signer?: readonly string[];
  readonly threshold?: string;
  readonly custodian?: readonly string[];
}

export const registerFleet: Register = (program, run) => {
  const fleet = program.command('fleet').summary('show and change who runs the fleet');
  fleet
    .command('show')
    .summary("show who signs the fleet, and who has the pools' keys")
    .description(
      "Shows whose signatures let hosts in and take them out, and who has copies of the pools' keys.",
    )
    .addHelpText('after', '\n  lapse fleet show')
    .action(() => run(show));
  fleet
    .command('set')
    .summary('change who runs the fleet')
    .description(
      'Replaces what is given, and leaves the rest. Needs the root identities and the new signers.',
    )
    .option('--signer <who>', 'lets hosts in, takes them out (default: as it is; repeatable)', collect)
    .option('--threshold <number>', 'how many signers it takes (default: as it is)')
    .option('--custodian <who>', "can decrypt the pools' keys (default: as it is; repeatable)", collect)
    .addHelpText(
      'after',
      `${WHO}
Whoever is not named again leaves: name all signers, or all custodians. A custodian who leaves knows the keys
that there are: lapse pool rotate NAME gives a pool a new one.

  lapse fleet set --signer operator --signer lapse1… --threshold 2
  lapse fleet set --custodian operator --custodian lapse1…`,
    )
    .action((options: FleetOptions) => run((context) => set(context, options)));
};

async function show(context: Context): Promise<void> {
  const session = await Session.open(context);
  const { signers, threshold } = fleetSignatories(roleOf(session.state, 'targets'));
  const names = await namesOf(context.identities);
  const { identities } = await context.identities.list();
  const keys = signers.map((key) => keyId(ed25519KeyJson(key)));
  const custodians = session.fleet.custodians.map(({ kid }) => kid);
  const custodianName = (kid: string) => identities.find((known) => known.kid === kid)?.name;
  context.output.result(
    [
      `Signatures needed: ${threshold} of ${signers.length}`,
      ...columns([
        ['KEY', 'DOES', 'NAME'],
        ...keys.map((key) => [key.slice(0, 16), 'signs', names.get(key) ?? '-']),
        ...custodians.map((kid) => [kid.slice(0, 16), 'decrypts pool keys', custodianName(kid) ?? '-']),
      ]),
    ],
    {
      threshold,
      signers: keys.map((keyid) => ({ keyid, name: names.get(keyid) ?? null })),
      custodians: custodians.map((kid) => ({ kid, name: custodianName(kid) ?? null })),
    },
  );
}

async function set(context: Context, options: FleetOptions): Promise<void> {
  const { identities, clock, output } = context;
  if (Object.keys(options).length === 0) throw new ClientError('usage', 'say what is to change; see --help');
  const session = await Session.open(context);
  const terms = await changedTerms(context, session, options);
  await session.ready('targets');
  using keys = new PoolKeys(session.updater.realm, identities);
  const watch = new Stopwatch(clock);
  let left: readonly string[] = [];
  const published = await session.publish(watch, async (state) => {
    const wrapped = await copiesFor(session, keys, terms);
    left = wrapped.left;
    watch.lap('wrap');
    return { roles: edits(state, terms, wrapped.copies, clock.now()), files: [] };
  });
  await session.refresh();
  const { signers, threshold, custodians } = terms;
  output.result(
    [
      `The fleet has new terms: ${threshold} of ${signers.length} signers, ${counted(custodians.length, 'custodian')}.`,
      ...(left.length > 0 ? [`No custodian at hand can copy these for the new ones: ${listed(left)}`] : []),
    ],
    {
      threshold,
      signers: signers.length,
      custodians: custodians.length,
      notRewrapped: left,
      timestamp: published.timestamp,
      ...watch.report(),
    },
  );
}

/** @throws ClientError usage, identity-unknown, public-line-invalid */
async function changedTerms(
  { identities }: Context,
  { state, fleet }: Session,
  { signer, threshold, custodian }: FleetOptions,
): Promise<FleetTerms> {
  const old = fleetSignatories(roleOf(state, 'targets'));
  const signers = signer ? (await people(signer, identities)).map(({ signing }) => signing) : old.signers;
  return {
    signers,
    threshold: parseCount(threshold ?? String(old.threshold), '--threshold', 1, signers.length),
    custodians: custodian
      ? (await people(custodian, identities)).map(({ decryption }) => decryption)
      : fleet.custodians.map(({ key }) => key),
  };
}

function edits(
  state: RealmState,
  terms: FleetTerms,
  copies: ReadonlyMap<string, readonly WrappedKey[]>,
  now: number,
) {
  const change: JsonObject = withFleetPeople(roleOf(state, FLEET).raw, terms, copies);
  return [
    { role: 'targets', change: redelegateFleet(roleOf(state, 'targets'), terms) },
    { role: FLEET, change },
    again(state, FLEET_HOSTS, now),
  ];
}

/** Copies of every epoch's private half for who lacks one; what nobody at hand can unwrap is left, and named. */
async function copiesFor(
  session: Session,
  keys: PoolKeys,
  { custodians }: FleetTerms,
): Promise<{ copies: ReadonlyMap<string, readonly WrappedKey[]>; left: readonly string[] }> {
  const copies = new Map<string, readonly WrappedKey[]>();
  const left: string[] = [];
  for (const { pool, epoch } of epochsOf(session.fleet)) {
    const lacking = custodians
      .map((key) => recipientOf(key))
      .filter(({ kid }) => !epoch.custodians.some((copy) => copy.kid === kid));
    if (lacking.length === 0) continue;
    if ((await session.identities.decryptors(epoch.custodians.map(({ kid }) => kid))).length === 0) {
      left.push(`${pool} (epoch ${epoch.epoch})`);
      continue;
    }
    const raw = await keys.of(pool, epoch);
    const context = { realm: session.updater.realm, pool, epoch: epoch.epoch };
    const wrap = async (one: Recipient) => wrapPoolKey(raw, await importRecipient(one), context);
    copies.set(epoch.kid, await Promise.all(lacking.map(wrap)));
  }
  return { copies, left };
}

function epochsOf({ pools }: Fleet) {
  return [...pools.values()].flatMap(({ name, epochs }) =>
    [...epochs.values()].map((epoch) => ({ pool: name, epoch })),
  );
}
