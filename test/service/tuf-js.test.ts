// An independent client, tuf-js, accepts what the service publishes: metadata, delegation, target, download.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Updater } from 'tuf-js';
import { expect, test } from 'vitest';
import type { TestRealm } from '../support/realm.ts';
import { startPayments } from '../support/realm-service.ts';

function makeUpdater(directory: string, realm: TestRealm, url: string): Updater {
  const [metadataDir, targetDir] = [
    mkdtempSync(join(directory, 'metadata-')),
    mkdtempSync(join(directory, 'targets-')),
  ];
  writeFileSync(join(metadataDir, 'root.json'), realm.genesis.root);
  return new Updater({
    metadataDir,
    targetDir,
    metadataBaseUrl: `${url}/v1/metadata`,
    targetBaseUrl: `${url}/v1/targets`,
  });
}

test('tuf-js refreshes, finds a secret and downloads its envelope; after a revocation the next version', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  const directory = mkdtempSync(join(tmpdir(), 'lapse-tuf-js-'));
  const download = async (path: string): Promise<Uint8Array> => {
    const updater = makeUpdater(directory, realm, client.url);
    await updater.refresh();
    const info = await updater.getTargetInfo(path);
    return readFileSync(await updater.downloadTarget(info!, join(directory, 'envelope')));
  };
  const live = realm.secret('payments', 'db')!.newest!;
  expect(await download('payments/db@1')).toHaveLength(live.length);

  await client.publish(realm.revoke('payments', 'db', 1));
  await expect(download('payments/db@1')).rejects.toThrow();
  const publish = await realm.put('payments', 'db');
  await client.publish(publish);
  expect(await download('payments/db@2')).toEqual(Buffer.from(publish.envelopes[0]!));
  rmSync(directory, { recursive: true });
});
