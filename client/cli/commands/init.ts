// `lapse init`: makes a realm. The identities are made here and stay here; the service's online keys never leave it. What
// was broken off is taken up again by the next run; what the service refuses leaves nothing behind.
import { LIMITS } from '../../../manifest/limits.ts';
import { realmId } from '../../../manifest/realm/realm.ts';
import type { RecipientKey } from '../../../manifest/realm/recipient.ts';
import { trustRoot } from '../../../manifest/tuf/trusted-set.ts';
import { ClientError } from '../../errors.ts';
import type { Identity } from '../../identity/identity.ts';
import { httpTransport } from '../../transport.ts';
import type { Transport } from '../../transport.ts';
import type { Context, Register } from '../command.ts';
import { encodeBeginning, makeGenesis, parseBeginning } from '../genesis.ts';
import type { Beginning } from '../genesis.ts';
import { collect, parseSeconds } from '../options.ts';
import { chooseService } from '../service-choice.ts';
import type { ServiceOptions } from '../service-choice.ts';
import { unprotectedLine } from './identity.ts';

const YEAR_MS = 365 * 24 * 3600_000;
const UNFINISHED = 'genesis.json';
const OPERATOR = 'operator';
const ROOTS: Readonly<Record<string, { readonly names: readonly string[]; readonly threshold: number }>> = {
  '1': { names: ['root'], threshold: 1 },
  '2of3': { names: ['root-1', 'root-2', 'root-3'], threshold: 2 },
};

interface InitOptions extends ServiceOptions {
  readonly lease: string;
  readonly root: string;
  readonly custodian?: readonly string[];
  readonly passphrase: boolean;
}

export const registerInit: Register = (program, run) => {
  program
    .command('init')
    .summary('make a realm on a fresh service')
    .description(
      'Makes a realm: identities, root 1, targets 1 and the fleet, and publishes them on a service that has none yet.',
    )
    .requiredOption('--service <url>', 'the manifest service, e.g. https://lapse.internal:7700')
    .option('--pin <pin>', 'the pin of its certificate, as lapse-service prints it (asked for, if not given)')
    .option('--lease <time>', 'how long hosts serve without news of the service', '10m')
    .option('--root <kind>', 'the keys of root and targets: 1 (a trial), or 2of3', '1')
    .option(
      '--custodian <who>',
      'can recover pool keys, besides you: a name or a public line (repeatable)',
      collect,
    )
    .option('--no-passphrase', 'leave the identities open to whoever can read the files; for trials')
    .addHelpText(
      'after',
      `
The lease is the bound of every revocation: a host that cannot be reached stops serving when it is over.
Shorter is safer; longer survives a longer outage of the service.

Root decides who may decide. With --root 1 whoever gets that key has the realm, and whoever loses it can add
no namespace; with 2of3 one of three may be lost or stolen. One passphrase seals all that is made here.

  lapse init --service https://lapse.internal:7700 --root 2of3
  lapse namespace add payments`,
    )
    .action((options: InitOptions) => run((context) => init(context, options)));
};

async function init(context: Context, options: InitOptions): Promise<void> {
  const { directory } = context;
  const unfinished = await directory.read(UNFINISHED);
  const beginning = unfinished
    ? goOn(parseBeginning(unfinished, directory.file(UNFINISHED)), options, directory.path)
    : await begin(context, options);
  await publish(context, beginning);
  await report(context, beginning);
}

/** The next run after one that was broken off. */
function goOn(beginning: Beginning, { service }: InitOptions, directory: string): Beginning {
  if (URL.parse(service)?.origin === beginning.service.url) return beginning;
  const advice = `run it again with that --service, or remove ${directory}`;
  throw new ClientError(
    'realm-directory-exists',
    `lapse init for ${beginning.service.url} was broken off in ${directory}: ${advice}`,
  );
}

/** Everything is on disk before the service learns of it. */
async function begin(context: Context, options: InitOptions): Promise<Beginning> {
  const { clock, directory } = context;
  const lease = parseSeconds(options.lease, '--lease', 1, LIMITS.leaseSeconds);
  const kind = ROOTS[options.root];
  if (!kind) throw new ClientError('usage', '--root is 1 or 2of3');
  await directory.refuseRealm();
  const service = await chooseService(options);
  const transport = httpTransport(service, clock);
  const online = await transport.onlineKeys();
  await refuseExisting(transport);
  await directory.create();
  const made: string[] = [];
  try {
    const [operator, ...roots] = await founders(context, [OPERATOR, ...kind.names], options, made);
    const custodians = await custodiansOf(context, operator, options.custodian ?? []);
    const founding = { roots, threshold: kind.threshold, operator, custodians };
    const genesis = await makeGenesis(founding, online, lease, clock.now() + YEAR_MS);
    const beginning = { service, genesis, made };
    await directory.write(UNFINISHED, encodeBeginning(beginning));
    return beginning;
  } catch (error) {
    await undo(context, made);
    throw error;
  }
}

/** Before anybody is asked for a passphrase. */
async function refuseExisting(transport: Transport): Promise<void> {
  try {
    await transport.metadata('1.root.json', LIMITS.rootBytes);
  } catch (error) {
    if (error instanceof ClientError && error.code === 'not-found') return;
    throw error;
  }
  const advice = 'to follow it, run: lapse follow REALM';
  throw new ClientError('service-conflict', `this service has its realm already; ${advice}`, {
    reason: 'realm-exists',
  });
}

/** Identities that are there already are used; the others are made, all under one passphrase. */
async function founders(
  { identities }: Context,
  names: readonly string[],
  options: InitOptions,
  made: string[],
): Promise<[Identity, ...Identity[]]> {
  const before = (await identities.list()).identities;
  const missing = names.filter((name) => !before.some((known) => known.name === name));
  const isAsked = options.passphrase && missing.length > 0;
  const passphrase = isAsked ? await identities.newPassphrase(missing.join(', ')) : undefined;
  const opened: Identity[] = [];
  for (const name of names) {
    const known = before.find((one) => one.name === name);
    opened.push(await identities.open(known ?? (await identities.create(name, passphrase))));
    if (!known) made.push(name);
  }
  return opened as [Identity, ...Identity[]];
}

async function custodiansOf(
  { identities }: Context,
  operator: Identity,
  named: readonly string[],
): Promise<readonly RecipientKey[]> {
  const keys = new Map([[operator.public.kid, operator.public.decryption]]);
  for (const who of named) {
    const { kid, decryption } = await identities.publicOf(who);
    keys.set(kid, decryption);
  }
  return [...keys.values()];
}

async function publish(context: Context, { service, genesis, made }: Beginning): Promise<void> {
  const { clock, directory } = context;
  const transport = httpTransport(service, clock);
  try {
    await transport.createRealm(genesis);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    const isRefused = ['service-refused', 'service-conflict'].includes(error.code);
    if (!isRefused) {
      throw new ClientError(error.code, `${error.message}; to go on, run it again`, { cause: error });
    }
    // An earlier run may have got that far without hearing of it.
    if (!(await isThere(transport, genesis.root))) {
      await undo(context, made);
      throw error;
    }
  }
  await directory.write('root.json', genesis.root);
  await directory.writeConfig({
    service: service.url,
    ...(service.pin === undefined ? {} : { pin: service.pin }),
  });
  await directory.remove(UNFINISHED);
}

async function isThere(transport: Transport, root: Uint8Array): Promise<boolean> {
  try {
    return Buffer.compare(await transport.metadata('1.root.json', LIMITS.rootBytes), root) === 0;
  } catch (error) {
    if (error instanceof ClientError && error.code === 'not-found') return false;
    throw error;
  }
}

/** Nobody relies on these keys yet. */
async function undo({ directory }: Context, made: readonly string[]): Promise<void> {
  for (const name of made) await directory.remove(`identities/${name}.identity`);
  await directory.remove(UNFINISHED);
  await directory.removeIfEmpty();
}

async function report(
  { output, directory, identities }: Context,
  { service, genesis }: Beginning,
): Promise<void> {
  const { root } = trustRoot(genesis.root);
  const realm = realmId(root);
  const { keys, threshold } = root.role.roles.root;
  const { identities: known } = await identities.list();
  const roots = known.filter(({ keyid }) => keys.has(keyid));
  const open = known.filter(({ file }) => file?.isProtected === false);
  const files = roots.map(({ name }) => directory.identity(name)).join(', ');
  const pin = service.pin === undefined ? '' : ` --pin ${service.pin}`;
  output.result(
    [
      `Realm ${realm.slice(0, 16)} is ready on ${service.url}.`,
      `  ${directory.identity(OPERATOR)}: you; signs namespaces and the fleet, and decrypts as custodian`,
      threshold === 1
        ? `  ${files}: signs root and targets; move it offline when the namespaces exist`
        : `  ${files}: ${threshold} of them sign root and targets; move them to ${keys.size} places`,
      '  pool default: its private key is nowhere but in the metadata, encrypted to the custodians of the fleet',
      `A host that hears nothing stops serving after ${genesis.lease} s: that bounds every revocation.`,
      ...(threshold === 1
        ? ['Root hangs on a single key, which is good for a trial only; see also: lapse status']
        : []),
      ...(open.length > 0 ? [unprotectedLine(open)] : []),
      `To follow it elsewhere: lapse follow ${realm} --service ${service.url}${pin}`,
      'Next: lapse namespace add payments',
    ],
    {
      realm,
      service: service.url,
      ...(service.pin === undefined ? {} : { pin: service.pin }),
      directory: directory.path,
      lease: genesis.lease,
      identities: known.map(({ name }) => name),
      unprotected: open.map(({ name }) => name),
    },
  );
}
