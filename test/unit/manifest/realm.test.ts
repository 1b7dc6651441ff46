// The realm vector from end to end: every file verifies, and the recipient's private key opens the secret.
import { createPrivateKey } from 'node:crypto';
import { expect, test } from 'vitest';
import sodium from 'sodium-native';
import { parseNamespace, parseSecretName } from '../../../manifest/names.ts';
import { ENVELOPE, associatedData, paddedBytes, valueRange } from '../../../manifest/realm/envelope.ts';
import { unwrapKey } from '../../../manifest/realm/key-wrap.ts';
import { leaseMs, timestampLifetimeMs } from '../../../manifest/realm/lease.ts';
import { namespaces, realmId } from '../../../manifest/realm/realm.ts';
import { readSecrets } from '../../../manifest/realm/secret.ts';
import { checkFile } from '../../../manifest/tuf/metadata.ts';
import {
  trustRoot,
  updateSnapshot,
  updateTargets,
  updateTimestamp,
} from '../../../manifest/tuf/trusted-set.ts';
import { codeOf, publish, resign, testKey, timestampJson, trust, KEYS, NOW, utf8 } from './repository.ts';
import { vectors } from './vectors.ts';

const vector = vectors('realm') as {
  now: number;
  seeds: Record<string, number>;
  keyids: Record<string, string>;
  realm: string;
  files: Record<string, string>;
  target: { file: string; envelope: string; value: string };
};
const { recipient } = vectors('key-wrap') as { recipient: { pkcs8: string } };
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
  set = updateTargets(set, 'payments', file('1.payments.json'), vector.now);
  expect(leaseMs(set.timestamp!)).toBe(60_000);
  expect(namespaces(set.targets.get('targets')!)).toEqual(['payments']);

  const [namespace, name] = [parseNamespace('payments'), parseSecretName('db-password')];
  const { newest } = readSecrets(set.targets.get('payments')!.role, namespace).get(name)!;
  const envelope = Buffer.from(vector.target.envelope, 'hex');
  expect(codeOf(() => checkFile(envelope, newest!, 'envelope'))).toBeUndefined();
  expect(vector.target.file).toBe(`payments/${newest!.sha256}.db-password@1`);

  const context = { realm, namespace, name, version: 1 };
  const der = Buffer.from(recipient.pkcs8, 'base64');
  const key = await unwrapKey(
    newest!.keys[0]!,
    createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }),
    context,
  );
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
