// The realm vector from end to end: every file verifies, and a host's own key leads to the secret.
import { expect, test } from 'vitest';
import sodium from 'sodium-native';
import { parseSecretName } from '../../../manifest/names.ts';
import { ENVELOPE, associatedData, paddedBytes, valueRange } from '../../../manifest/realm/envelope.ts';
import { currentEpoch, readFleet, recipientsOf } from '../../../manifest/realm/fleet.ts';
import { keyringFile, parseKeyring, readHosts, servingHosts } from '../../../manifest/realm/hosts.ts';
import { decryptWith } from '../../../manifest/realm/jwe.ts';
import { unwrapKey } from '../../../manifest/realm/key-wrap.ts';
import { poolPrivateKey, unwrapPoolKey } from '../../../manifest/realm/pool-key.ts';
import { leaseMs, timestampLifetimeMs } from '../../../manifest/realm/lease.ts';
import { readRealm, realmId } from '../../../manifest/realm/realm.ts';
import { readWithdrawals, withdrawnFrom } from '../../../manifest/realm/revoker.ts';
import { readSecrets, readers } from '../../../manifest/realm/secret.ts';
import { checkFile } from '../../../manifest/tuf/metadata.ts';
import {
  trustRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import {
  KEYS,
  NOW,
  PAYMENTS,
  codeOf,
  privateKey,
  publish,
  resign,
  testKey,
  timestampJson,
  trust,
  utf8,
} from './repository.ts';
import { vectors } from './vectors.ts';

const vector = vectors('realm') as {
  now: number;
  seeds: Record<string, number>;
  keyids: Record<string, string>;
  realm: string;
  files: Record<string, string>;
  keyring: { file: string; content: string };
  target: { file: string; envelope: string; value: string };
  readers: Record<string, string[]>;
};
const file = (name: string): Uint8Array => utf8(vector.files[name]!);

test('the vector verifies and opens', async () => {
  for (const [role, seed] of Object.entries(vector.seeds))
    expect(testKey(seed).keyid).toBe(vector.keyids[role]);

  let set = trustRoot(file('1.root.json'));
  const realm = realmId(set.root);
  expect(realm).toBe(vector.realm);
  set = updateTimestamp(set, file('timestamp.json'), vector.now);
  set = updateSnapshot(set, file('2.snapshot.json'), vector.now);
  set = updateTargets(set, 'targets', file('2.targets.json'), vector.now);
  set = updateTargets(set, 'fleet', file('1.fleet.json'), vector.now);
  set = updateTargets(set, 'fleet-hosts', file('2.fleet-hosts.json'), vector.now, 'fleet');
  set = updateTargets(set, 'payments', file('1.payments.json'), vector.now);
  set = updateTargets(set, 'payments-revoker', file('1.payments-revoker.json'), vector.now);
  expect(leaseMs(set.timestamp!)).toBe(60_000);

  const { policy, hasRevoker } = readRealm(set.targets.get('targets')!).get(PAYMENTS)!;
  expect({ ...policy, hasRevoker }).toMatchObject({ leaseSeconds: 30, whenStale: 'serve', hasRevoker: true });

  // The host finds the pool's key in its keyring, and the custodian of the fleet has it, too.
  const fleet = readFleet(set.targets.get('fleet')!);
  const hosts = readHosts(set.targets.get('fleet-hosts')!.role);
  const [host] = servingHosts(hosts, fleet, policy);
  const keyring = utf8(vector.keyring.content);
  checkFile(keyring, host!.keyring, 'keyring');
  expect(keyringFile(host!)).toBe(vector.keyring.file);
  const [pool] = policy.pools;
  const epoch = currentEpoch(fleet, pool!);
  const bound = { realm, pool: pool!, epoch: 1 };
  const [entry] = parseKeyring(keyring);
  const byHost = decryptWith(privateKey('x25519', 0x44));
  const byCustodian = decryptWith(privateKey('x25519', 0x66));
  const raw = await unwrapPoolKey(entry!, byHost, bound, epoch.key);
  expect(await unwrapPoolKey(epoch.custodians[0]!, byCustodian, bound, epoch.key)).toEqual(raw);
  expect(recipientsOf(fleet, policy).map(({ kid }) => kid)).toEqual([epoch.kid, policy.custodians[0]!.kid]);

  const name = parseSecretName('db-password');
  const signed = readSecrets(set.targets.get('payments')!.role, PAYMENTS).get(name)!;
  const secret = withdrawnFrom(signed, readWithdrawals(set.targets.get('payments-revoker')!).get(name));
  const { newest } = secret;
  expect({ '1': readers(secret, 1).map(({ workload }) => workload) }).toEqual(vector.readers);
  const envelope = Buffer.from(vector.target.envelope, 'hex');
  expect(codeOf(() => checkFile(envelope, newest!, 'envelope'))).toBeUndefined();
  expect(vector.target.file).toBe(`payments/${newest!.sha256}.db-password@1`);

  const context = { realm, namespace: PAYMENTS, name, version: 1 };
  const key = await unwrapKey(newest!.keys[0]!, decryptWith(poolPrivateKey(raw)), context);
  expect(await unwrapKey(newest!.keys[1]!, byCustodian, context)).toEqual(key);
  const padded = Buffer.alloc(paddedBytes(envelope.length));
  sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
    padded,
    null,
    envelope.subarray(ENVELOPE.nonceBytes),
    Buffer.from(associatedData(context)),
    envelope.subarray(0, ENVELOPE.nonceBytes),
    Buffer.from(key),
  );
  expect(padded.subarray(...valueRange(padded)).toString()).toBe(vector.target.value);
});

test('a realm needs a lease of 1 second to 1 day', () => {
  const { lease: _, ...signed } = timestampJson({ version: 1 });
  const without = updateTimestamp(trustRoot(publish().root), resign(signed, KEYS.timestamp), NOW);
  expect(codeOf(() => leaseMs(without.timestamp!))).toBe('lease-malformed');
  for (const lease of [0, -1, 86_401, '60', null]) {
    const code = codeOf(() => trust(publish({ timestamp: { lease } })));
    expect(code).toBe('metadata-malformed');
  }
  for (const lease of [1, 86_400])
    expect(leaseMs(trust(publish({ timestamp: { lease } })).timestamp!)).toBe(lease * 1000);
});

test('a timestamp lives for its lease, and at least for 5 minutes', () => {
  expect([60, 300, 600].map(timestampLifetimeMs)).toEqual([300_000, 300_000, 600_000]);
});
