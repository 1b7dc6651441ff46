// A host without a file system, for transcripts: what `lapsed join` made of a directory follows the service like a daemon
// and posts a receipt for each change, without serving anything to anybody.
//
//   node cli-host.ts serve DIRECTORY [deaf|lie|fail]   returns when the first receipt is stored; goes on in the background
//   node cli-host.ts stop DIRECTORY
//   node cli-host.ts opens DIRECTORY                   the versions that it can decrypt, and those that it cannot
//
// `deaf` says nothing after the first receipt, `lie` states another hash of the namespace, `fail` that it does not verify.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../client/clock.ts';
import { httpTransport } from '../../client/transport.ts';
import type { Transport } from '../../client/transport.ts';
import { TrustStore } from '../../client/trust-store.ts';
import { Updater } from '../../client/updater.ts';
import { HostAuthorizer, readIdentity } from '../../daemon/host/identity.ts';
import type { HostIdentity } from '../../daemon/host/identity.ts';
import { decrypt } from '../../daemon/vault/opener.ts';
import { LIMITS } from '../../manifest/limits.ts';
import { associatedData, paddedBytes, valueRange } from '../../manifest/realm/envelope.ts';
import { keyringFile, parseKeyring } from '../../manifest/realm/hosts.ts';
import { decryptWith } from '../../manifest/realm/jwe.ts';
import type { Decrypt } from '../../manifest/realm/jwe.ts';
import { unwrapKey } from '../../manifest/realm/key-wrap.ts';
import { poolPrivateKey, unwrapPoolKey } from '../../manifest/realm/pool-key.ts';
import { signReceipt } from '../../manifest/realm/receipt.ts';
import type { AppliedRole } from '../../manifest/realm/receipt.ts';
import { liveVersions } from '../../manifest/realm/succession.ts';
import { currentSnapshot } from '../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../manifest/tuf/trusted-set.ts';

const clock = systemClock();

interface Followed {
  readonly host: HostIdentity;
  readonly transport: Transport;
  readonly updater: Updater;
}

async function connect(directory: string): Promise<Followed> {
  const host = await readIdentity(directory);
  const transport = httpTransport(host.service, clock, new HostAuthorizer(host, clock));
  const updater = await Updater.open({
    anchor: host.anchor,
    storeFor: (realm) => new TrustStore(join(directory, 'trust'), realm),
    transport,
    clock,
  });
  await updater.refresh();
  return { host, transport, updater };
}

/** Each live version's value, undefined where the host's keyring does not open it. */
export async function openAll(directory: string): Promise<ReadonlyMap<string, Buffer | undefined>> {
  const { host, transport, updater } = await connect(directory);
  const { fleet, hosts, secrets } = updater.state;
  const record = hosts.get(host.name);
  const pools = new Map<string, Decrypt>();
  // A host that was removed asks all the same.
  const keyring = record ? keyringFile(record) : `fleet-hosts/${'0'.repeat(64)}.${host.name}`;
  for (const entry of parseKeyring(await transport.target(keyring, LIMITS.keyringBytes))) {
    const { pool, epoch } = entry;
    const { key, kid } = fleet!.pools.get(pool)!.epochs.get(epoch)!;
    const context = { realm: updater.realm, pool, epoch };
    const raw = await unwrapPoolKey(entry, decryptWith(host.encryptionKey), context, key);
    pools.set(kid, decryptWith(poolPrivateKey(raw)));
  }
  const opened = new Map<string, Buffer | undefined>();
  for (const secret of [...secrets.values()].flatMap((of) => [...of.values()])) {
    for (const live of liveVersions(secret)) {
      const wrapped = live.keys.find(({ kid }) => pools.has(kid));
      const context = { ...secret, ...live, realm: updater.realm };
      const key = wrapped && (await unwrapKey(wrapped, pools.get(wrapped.kid)!, context));
      const envelope = await transport.target(live.path.replace('/', `/${live.sha256}.`), live.length);
      const plain = Buffer.alloc(paddedBytes(envelope.length));
      if (key) decrypt({ key, context: associatedData(context), envelope, plain });
      opened.set(live.path, key && plain.subarray(...valueRange(plain)));
    }
  }
  return opened;
}

async function follow(directory: string, manner: string): Promise<void> {
  const { host, transport, updater } = await connect(directory);
  let sequence = 0;
  const tell = async (): Promise<void> => {
    await transport.postReceipts([await receipt(host, updater.state.set, ++sequence, manner)]);
  };
  await tell();
  process.stdout.write('ready\n');
  for await (const { news } of transport.news(undefined, new AbortController().signal)) {
    await updater.offer(news);
    if (manner !== 'deaf') await tell();
  }
}

function receipt(host: HostIdentity, set: TrustedSet, sequence: number, manner: string): Promise<string> {
  const files = [['root', set.root], ['snapshot', currentSnapshot(set)], ...set.targets] as const;
  const isHonest = manner === 'honest' || sequence === 1;
  const roles = files.flatMap(([name, file]): [string, AppliedRole][] => {
    if (!file) return [];
    const { version } = file.role;
    if (isHonest || !name.startsWith('payments')) return [[name, { version, sha256: file.sha256 }]];
    return manner === 'lie' ? [[name, { version, sha256: 'ab'.repeat(32) }]] : [];
  });
  return signReceipt(
    {
      realm: host.realm,
      host: host.name,
      boot: 'test',
      sequence,
      at: clock.now(),
      roles: new Map(roles),
      withdrawn: [],
      more: 0,
      mappings: 0,
      failures: new Map(isHonest || manner !== 'fail' ? [] : [['payments', 'floor-sank']]),
      verifiedUs: 1000,
      effectUs: 2000,
    },
    host.signingKey,
    host.kid,
  );
}

function serveInBackground(directory: string, manner: string): void {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'follow', directory, manner], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  writeFileSync(join(directory, 'pid'), String(child.pid));
  child.stdout.once('data', () => process.exit(0));
  child.once('exit', () => process.exit(1));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , command, directory = '', manner = 'honest'] = process.argv;
  if (command === 'serve') serveInBackground(directory, manner);
  else if (command === 'stop') process.kill(Number(readFileSync(join(directory, 'pid'), 'utf8')), 'SIGKILL');
  else if (command === 'follow') await follow(directory, manner);
  else {
    for (const [path, value] of await openAll(directory)) {
      process.stdout.write(`${path} ${value ? 'opens' : 'does not open'}\n`);
    }
  }
}
