// The next root over real HTTP: accepted when the old threshold and its own have signed it, followed by whoever is connected,
// and the moment at which other online keys take over.
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../client/clock.ts';
import { httpTransport } from '../../client/transport.ts';
import type { Transport } from '../../client/transport.ts';
import { TrustStore } from '../../client/trust-store.ts';
import { Updater } from '../../client/updater.ts';
import type { JsonObject } from '../../manifest/json.ts';
import { formatInstant } from '../../manifest/shape.ts';
import { SPEC_VERSION, sha256, signMetadata } from '../../manifest/tuf/metadata.ts';
import { OnlineKeyRing, makeNextKeys } from '../../service/online-keys.ts';
import { makeSigner } from '../support/realm.ts';
import type { TestSigner } from '../support/realm.ts';
import { startPayments } from '../support/realm-service.ts';
import type { Payments } from '../support/realm-service.ts';

/** In the answer to whatever was committed. */
const MOMENT = { at: expect.any(Number) as number, boot: expect.any(String) as string };

const DAY = 24 * 3600_000;

let payments: Payments;
let trust: string;

beforeEach(async () => {
  payments = await startPayments();
  trust = mkdtempSync(join(tmpdir(), 'lapse-root-'));
});

afterEach(async () => {
  await payments.service[Symbol.asyncDispose]();
  rmSync(trust, { recursive: true });
});

/** A client that keeps what it trusts between runs; `lies` are answers that do not come from the service. */
function follow(lies: ReadonlyMap<string, Uint8Array> = new Map()): Promise<Updater> {
  const { realm, service } = payments;
  const clock = { ...systemClock(), now: () => service.clock.now() };
  const honest = httpTransport(service.client.address, clock);
  const transport: Transport = {
    ...honest,
    metadata: async (file, most) => lies.get(file) ?? honest.metadata(file, most),
  };
  const anchor = realm.genesis.root;
  return Updater.open({ anchor, storeFor: (id) => new TrustStore(trust, id), transport, clock });
}

/** A root with other signed members, signed again. */
function altered(root: Uint8Array, change: JsonObject): Uint8Array {
  const { signed } = JSON.parse(Buffer.from(root).toString()) as { signed: JsonObject };
  return signMetadata({ ...signed, ...change }, [payments.realm.signer('root')]);
}

const versions = ({ state: { set } }: Updater) =>
  [set.root, set.timestamp, set.snapshot].map((file) => file?.role.version);

describe('a new root', () => {
  test('is stored beside the old one, with a timestamp, and followed after a restart', async () => {
    const { client, realm, service } = payments;
    const root = realm.nextRoot({});
    expect(await client.changeRoot(root)).toEqual({
      status: 200,
      body: { roles: { root: 2 }, snapshot: 2, timestamp: 3, ...MOMENT },
    });
    expect(await client.file('metadata/2.root.json')).toEqual(root);
    expect(await client.file('metadata/1.root.json')).toEqual(realm.genesis.root);
    payments = { ...payments, service: await service.restart() };
    const updater = await follow();
    await updater.refresh();
    expect(versions(updater)).toEqual([2, 3, 2]);
    expect(updater.state.failures.size).toBe(0);
  });

  test.for([
    ['not signed by the old keys', 'signature-threshold', 403],
    ['not signed by its own keys', 'signature-threshold', 403],
    ['the same version again', 'conflict', 409],
    ['a version left out', 'version-mismatch', 422],
    ['other online keys', 'online-keys-mismatch', 422],
    ['other targets keys, which have signed nothing', 'signature-threshold', 403],
    ['another role beside it', 'role-not-publishable', 422],
    ['a realm without consistent snapshots', 'metadata-malformed', 400],
  ] as const)('%s: refused with %s', async ([what, code, status]) => {
    const { client, realm } = payments;
    const before = await client.file('metadata/timestamp.json');
    const stranger = makeSigner();
    const change = (): Uint8Array => {
      switch (what) {
        case 'not signed by the old keys': {
          realm.setSigner('root', stranger);
          return realm.nextRoot(realm.replacing('root', stranger.publicHex));
        }
        case 'not signed by its own keys':
          return realm.nextRoot(realm.replacing('root', stranger.publicHex));
        case 'the same version again':
          return realm.genesis.root;
        case 'a version left out':
          realm.nextRoot({});
          return realm.nextRoot({});
        case 'other online keys':
          return realm.nextRoot(realm.replacing('snapshot', stranger.publicHex));
        case 'other targets keys, which have signed nothing':
          return realm.nextRoot(realm.replacing('targets', stranger.publicHex));
        case 'another role beside it':
          return realm.nextRoot({});
        case 'a realm without consistent snapshots':
          return altered(realm.nextRoot({}), { consistent_snapshot: false });
      }
    };
    const roles = what === 'another role beside it' ? realm.draft('payments', {}).roles : [];
    expect(await client.changeRoot(change(), roles)).toMatchObject({ status, body: { code } });
    expect(await client.file('metadata/timestamp.json')).toEqual(before);
    expect((await client.get('metadata/2.root.json')).status).toBe(404);
  });

  test('gives targets to others, in one step with the targets that they sign', async () => {
    const { client, realm } = payments;
    const heir = makeSigner();
    const root = realm.nextRoot(realm.replacing('targets', heir.publicHex));
    realm.setSigner('targets', heir);
    const { roles } = realm.adopt(realm.draft('targets', {}));
    expect(await client.changeRoot(root, roles)).toMatchObject({ body: { roles: { root: 2, targets: 3 } } });
    const updater = await follow();
    expect((await updater.refresh()).failures.size).toBe(0);
    expect(await client.publish(realm.delegate('billing'))).toMatchObject({ status: 200 });
  });

  test('comes with the news, so that whoever is connected needs to ask for nothing else', async () => {
    const { client, realm } = payments;
    using stream = await client.events();
    await stream.next();
    await client.changeRoot(realm.nextRoot({}));
    const { files } = (await stream.next())!.news;
    expect([...files.keys()]).toEqual(['2.root.json']);
    using late = await client.events();
    expect([...(await late.next())!.news.files.keys()]).toContain('2.root.json');
  });

  test('revives a realm whose root has expired', async () => {
    const { client, realm, service } = payments;
    service.clock.advance(366 * DAY);
    // What is there can still be had, to sign on it; no host takes it.
    expect((await client.get('metadata/timestamp.json')).status).toBe(200);
    await expect((await follow()).refresh()).rejects.toMatchObject({ code: 'metadata-expired' });
    const root = realm.nextRoot({}, [], service.clock.now() + 365 * DAY);
    expect(await client.changeRoot(root)).toMatchObject({ status: 200 });
    // Root lives; targets has expired, which is another matter.
    const updater = await follow();
    await expect(updater.refresh()).rejects.toThrow('targets 2 has expired');
  });
});

describe('new online keys', () => {
  /** A root that names those that wait. */
  async function rotate(): Promise<Uint8Array> {
    const { client, realm, service } = payments;
    makeNextKeys(service.data);
    const { next } = await client.onlineKeys();
    return realm.nextRoot({
      ...realm.replacing('snapshot', next!.snapshot),
      ...realm.replacing('timestamp', next!.timestamp),
    });
  }

  test('wait beside the old ones, which sign on until a root names the new', async () => {
    const { client, realm, service } = payments;
    const before = await client.onlineKeys();
    const made = makeNextKeys(service.data);
    expect(makeNextKeys(service.data)).toEqual(made);
    expect(await client.onlineKeys()).toEqual({ ...before, next: made });
    expect(await client.publish(await realm.put('payments', 'db'))).toMatchObject({ status: 200 });
    await client.verify(realm.genesis.root, service.clock.now());
  });

  test('take over with the root that names them, and the old ones are gone', async () => {
    const { client, realm, service } = payments;
    const updater = await follow();
    await updater.refresh();
    const root = await rotate();
    const { next } = await client.onlineKeys();
    expect(await client.changeRoot(root)).toEqual({
      status: 200,
      body: { roles: { root: 2 }, snapshot: 3, timestamp: 3, ...MOMENT },
    });
    expect(await client.onlineKeys()).toEqual(next);
    expect(existsSync(join(service.data, 'next-timestamp.ed25519'))).toBe(false);
    expect(await client.publish(await realm.put('payments', 'db'))).toMatchObject({ status: 200 });
    const { state } = await updater.renew();
    expect(versions(updater)).toEqual([2, 4, 4]);
    expect(state.failures.size).toBe(0);
    payments = { ...payments, service: await service.restart() };
    expect(await payments.service.client.onlineKeys()).toEqual(next);
  });

  test.for(['neither', 'snapshot'])(
    'a crash before the files moved (%s had) loses nothing',
    async (moved) => {
      const { client, realm, service } = payments;
      const root = await rotate();
      const files = ['snapshot', 'timestamp'].flatMap((role) => [`${role}.ed25519`, `next-${role}.ed25519`]);
      const kept = new Map(files.map((file) => [file, readFileSync(join(service.data, file))]));
      const { next } = await client.onlineKeys();
      await client.changeRoot(root);
      for (const [file, bytes] of kept) writeFileSync(join(service.data, file), bytes, { mode: 0o600 });
      if (moved === 'snapshot')
        renameSync(join(service.data, 'next-snapshot.ed25519'), join(service.data, 'snapshot.ed25519'));
      payments = { ...payments, service: await service.restart() };
      expect(await payments.service.client.onlineKeys()).toEqual(next);
      expect(await payments.service.client.publish(await realm.put('payments', 'db'))).toMatchObject({
        status: 200,
      });
    },
  );

  test('are made only where a service has been', () => {
    expect(() => makeNextKeys(trust)).toThrow(expect.objectContaining({ code: 'config-invalid' }));
  });

  test('end a fast-forward attack: what the stolen keys signed is forgotten', async () => {
    const { client, service } = payments;
    const stolen = OnlineKeyRing.open(service.data);
    const { snapshot, timestamp } = stolen.of((await follow()).state.set.root.role);
    const lies = await forward({ snapshot, timestamp });
    const victim = await follow(lies);
    await victim.refresh();
    expect(versions(victim)).toEqual([1, FAR, FAR]);
    await victim.persist();
    // The service is honest again; its own news looks old to whoever saw the lie.
    const cured = await follow();
    await expect(cured.refresh()).rejects.toMatchObject({ code: 'version-rollback' });
    expect(await client.changeRoot(await rotate())).toMatchObject({ status: 200 });
    const { state } = await cured.renew();
    expect([versions(cured), state.failures.size]).toEqual([[2, 3, 3], 0]);
    await cured.persist();
    expect(versions(await follow())).toEqual([2, 3, 3]);
    // The stolen keys count for nothing any more.
    const again = await follow(lies);
    await expect(again.refresh()).rejects.toMatchObject({ code: 'signature-threshold' });
    expect(versions(again)).toEqual([2, 3, 3]);
  });
});

const FAR = Number.MAX_SAFE_INTEGER;

/** What a thief of the online keys publishes: the realm as it is, under the highest numbers there are. */
async function forward(keys: Record<'snapshot' | 'timestamp', Pick<TestSigner, 'keyid' | 'sign'>>) {
  const { client, service } = payments;
  const text = Buffer.from(await client.file('metadata/2.snapshot.json')).toString();
  const { signed } = JSON.parse(text) as { signed: { meta: Record<string, never> } };
  const head = (type: string) => ({
    _type: type,
    spec_version: SPEC_VERSION,
    version: FAR,
    expires: formatInstant(service.clock.now() + DAY),
  });
  const snapshot = signMetadata({ ...head('snapshot'), meta: signed.meta }, [keys.snapshot]);
  const meta = {
    'snapshot.json': { version: FAR, length: snapshot.length, hashes: { sha256: sha256(snapshot) } },
  };
  const timestamp = signMetadata({ ...head('timestamp'), lease: 600, meta }, [keys.timestamp]);
  return new Map([
    [`${FAR}.snapshot.json`, snapshot],
    ['timestamp.json', timestamp],
  ]);
}
