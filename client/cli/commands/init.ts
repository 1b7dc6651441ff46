// `lapse init`: makes a realm. The keys are made here and stay here; the service's online keys never leave it.
import { LIMITS } from '../../../manifest/limits.ts';
import { firstRoot, firstTargets, realmId } from '../../../manifest/realm/realm.ts';
import { signMetadata } from '../../../manifest/tuf/metadata.ts';
import { trustRoot } from '../../../manifest/tuf/trusted-set.ts';
import type { Genesis } from '../../../manifest/realm/exchange.ts';
import { ClientError } from '../../errors.ts';
import { httpTransport } from '../../transport.ts';
import type { Transport } from '../../transport.ts';
import type { Context, Register } from '../command.ts';
import { createKeyFile, fileSigner, publicHex, readKeyFile, recipientKey } from '../../key-file.ts';
import { parseSeconds } from '../options.ts';
import type { RealmDirectory } from '../realm-directory.ts';

const YEAR_MS = 365 * 24 * 3600_000;

export const registerInit: Register = (program, run) => {
  program
    .command('init')
    .summary('make a realm on a fresh service')
    .description(
      'Makes a realm: the keys, root 1 and targets 1, and publishes them on a service that has none yet.',
    )
    .requiredOption('--service <url>', 'the manifest service, e.g. http://127.0.0.1:7700')
    .option('--lease <time>', 'how long hosts serve without news of the service', '10m')
    .addHelpText(
      'after',
      `
The lease is the bound of every revocation: a host that cannot be reached stops serving when it is over.
Shorter is safer; longer survives a longer outage of the service.

  lapse init --service http://127.0.0.1:7700
  lapse namespace add payments`,
    )
    .action((options: { service: string; lease: string }) => run((context) => init(context, options)));
};

async function init(
  { clock, output, directory }: Context,
  options: { service: string; lease: string },
): Promise<void> {
  const lease = parseSeconds(options.lease, '--lease', 1, LIMITS.leaseSeconds);
  const transport = httpTransport(options.service, clock);
  const online = await transport.onlineKeys();
  await directory.create();
  const key = (name: string): string => directory.file('keys', name);
  const root = publicHex(await createKeyFile(key('root.ed25519'), 'ed25519'));
  await createKeyFile(key('operator.ed25519'), 'ed25519');
  const custodian = await recipientKey(await createKeyFile(key('operator.x25519'), 'x25519'));
  const pool = await recipientKey(await createKeyFile(directory.file('pools', 'default.x25519'), 'x25519'));

  const expires = clock.now() + YEAR_MS;
  const signer = fileSigner(await readKeyFile(key('root.ed25519'), 'ed25519'));
  const rootFile = signMetadata(firstRoot({ root, targets: root, ...online }, expires), [signer]);
  const targets = signMetadata(firstTargets(expires), [signer]);
  await directory.write('root.json', rootFile);
  await directory.writeConfig({
    service: transport.url,
    pool: { ...pool, epoch: 1 },
    custodian: { ...custodian, epoch: 0 },
  });
  await createRealm(transport, directory, { root: rootFile, targets, lease });

  const realm = realmId(trustRoot(rootFile).root);
  output.result(
    [
      `Realm ${realm.slice(0, 16)} is ready on ${transport.url}.`,
      `  ${directory.file('root.json')}: the anchor; each host gets a copy`,
      `  ${directory.file('pools', 'default.x25519')}: the pool's key; for its hosts, by a safe way`,
      `  ${key('root.ed25519')}: signs root and targets; move it offline once the namespaces exist`,
      `  ${key('operator.ed25519')}, operator.x25519: you; whoever holds them can publish and decrypt`,
      `Hosts fail closed ${lease} s after their last news. Everything still hangs on single keys: lapse status`,
      'Next: lapse namespace add payments',
    ],
    { realm, service: transport.url, directory: directory.path, lease },
  );
}

/** Everything is on disk before the service learns of it; a refusal leaves nothing behind. */
async function createRealm(transport: Transport, directory: RealmDirectory, genesis: Genesis): Promise<void> {
  try {
    await transport.createRealm(genesis);
  } catch (error) {
    const refused =
      error instanceof ClientError && ['service-refused', 'service-conflict'].includes(error.code);
    if (refused) await directory.remove();
    throw error;
  }
}
