// An independent client, tuf-js, accepts what the service publishes: metadata, delegations down to the hosts of the fleet,
// targets, downloads. Its fetcher knows the service by the pin, and asks for targets with the token of a host.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseFetcher, Updater } from 'tuf-js';
import { DownloadHTTPError } from 'tuf-js/dist/error.js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeNextKeys } from '../../service/online-keys.ts';
import { makeSigner } from '../support/realm.ts';
import { startPayments } from '../support/realm-service.ts';
import type { Payments, TestClient } from '../support/realm-service.ts';

class PinnedFetcher extends BaseFetcher {
  readonly #client: TestClient;

  constructor(client: TestClient) {
    super();
    this.#client = client;
  }

  override async fetch(url: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const response = await this.#client.get(url.slice(`${this.#client.url}/v1/`.length));
    if (response.ok && response.body) return response.body;
    throw new DownloadHTTPError(`${url}: ${response.status}`, response.status);
  }
}

let payments: Payments;
let directory: string;

beforeEach(async () => {
  payments = await startPayments();
  directory = mkdtempSync(join(tmpdir(), 'lapse-tuf-js-'));
});

afterEach(async () => {
  rmSync(directory, { recursive: true });
  await payments.service[Symbol.asyncDispose]();
});

/** What a new tuf-js, which knows the first root, finds under a path and downloads. */
async function download(path: string, client = payments.client): Promise<Uint8Array | undefined> {
  const [metadataDir, targetDir] = [
    mkdtempSync(join(directory, 'metadata-')),
    mkdtempSync(join(directory, 'targets-')),
  ];
  writeFileSync(join(metadataDir, 'root.json'), payments.realm.genesis.root);
  const updater = new Updater({
    metadataDir,
    targetDir,
    metadataBaseUrl: `${client.url}/v1/metadata`,
    targetBaseUrl: `${client.url}/v1/targets`,
    fetcher: new PinnedFetcher(client),
  });
  await updater.refresh();
  const info = await updater.getTargetInfo(path);
  return info && readFileSync(await updater.downloadTarget(info, join(directory, 'target')));
}

test('tuf-js finds a secret and downloads its envelope; after a revocation the next version', async () => {
  const { client, realm } = payments;
  const live = realm.secret('payments', 'db')!.newest!;
  expect(await download('payments/db@1')).toHaveLength(live.length);
  await client.publish(realm.revoke('payments', 'db', 1));
  await expect(download('payments/db@1')).rejects.toThrow('404');
  const publish = await realm.put('payments', 'db');
  await client.publish(publish);
  expect(await download('payments/db@2')).toEqual(Buffer.from(publish.files[0]!));
});

test('tuf-js follows targets, fleet and fleet-hosts to the keyring of a host', async () => {
  const { realm, host } = payments;
  const { publish } = await realm.join('web-2');
  await payments.client.publish(publish);
  expect(await download('fleet-hosts/web-1')).toEqual(Buffer.from(publish.files[0]!));
  // The record is for everybody, the keyring is not.
  await expect(download('fleet-hosts/web-2', payments.client.as(host))).rejects.toThrow('404');
});

test('tuf-js passes a revoker by: it accepts the role, and goes on to what it was looking for', async () => {
  const { client, realm } = payments;
  expect(await client.publish(realm.takeBack('payments', 'db', 1))).toMatchObject({ status: 200 });
  expect(await download('payments-revoker/db@1')).toBeUndefined();
  expect(await download('payments/none@1')).toBeUndefined();
  expect(await download('payments/db@1')).toBeDefined();
});

test('tuf-js walks the roots from the first: root, targets and the online keys all went to others', async () => {
  const { client, realm, service } = payments;
  const [chief, heir] = [makeSigner(), makeSigner()];
  // Both the old keys and the new ones sign the root that replaces root's own.
  expect(
    await client.changeRoot(realm.nextRoot(realm.replacing('root', chief.publicHex), [chief])),
  ).toMatchObject({
    status: 200,
  });
  realm.setSigner('root', chief);
  const third = realm.nextRoot(realm.replacing('targets', heir.publicHex));
  realm.setSigner('targets', heir);
  const { roles } = realm.adopt(realm.draft('targets', {}));
  expect(await client.changeRoot(third, roles)).toMatchObject({ status: 200 });
  expect(await download('payments/db@1')).toBeDefined();
  const next = makeNextKeys(service.data);
  const fourth = realm.nextRoot({
    ...realm.replacing('snapshot', next.snapshot),
    ...realm.replacing('timestamp', next.timestamp),
  });
  expect(await client.changeRoot(fourth)).toMatchObject({ body: { roles: { root: 4 } } });
  await client.publish(await realm.put('payments', 'db'));
  expect(await download('payments/db@2')).toBeDefined();
});

test('without a token it gets the metadata, and no envelope', async () => {
  await expect(download('payments/db@1', payments.client.as(undefined))).rejects.toThrow('401');
});
