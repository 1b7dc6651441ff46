// A realm over real HTTP: begun, published to, fetched and verified as a client would, across restarts and time.
import { chmodSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../manifest/json.ts';
import { parseNamespace } from '../../manifest/names.ts';
import { readSecrets } from '../../manifest/realm/secret.ts';
import { liveVersions } from '../../manifest/realm/succession.ts';
import type { Secret } from '../../manifest/realm/secret.ts';
import type { TrustedSet } from '../../manifest/tuf/trusted-set.ts';
import { object } from '../../manifest/shape.ts';
import { ed25519KeyJson } from '../../manifest/tuf/keys.ts';
import { TestRealm, makeSigner, merged } from '../support/realm.ts';
import { startPayments, startTestService } from '../support/realm-service.ts';

/** In the answer to whatever was committed. */
const MOMENT = { at: expect.any(Number) as number, boot: expect.any(String) as string };

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

function secretsIn(set: TrustedSet): ReadonlyMap<string, Secret> {
  return readSecrets(set.targets.get('payments')!.role, parseNamespace('payments'));
}

function envelopePath(secret: Secret, version: number): string {
  const live = liveVersions(secret).find((each) => each.version === version)!;
  return `targets/payments/${live.sha256}.${secret.name}@${version}`;
}

test('what was published is what a client verifies', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  const publish = await realm.put('payments', 'db');
  expect(await client.publish(publish)).toEqual({
    status: 200,
    body: { roles: { payments: 2 }, snapshot: 3, timestamp: 3, ...MOMENT },
  });
  const set = await client.verify(realm.genesis.root, service.clock.now(), ['payments']);
  const db = secretsIn(set).get('db')!;
  expect(liveVersions(db).map(({ version }) => version)).toEqual([2, 1]);
  expect(await client.file(envelopePath(db, 2))).toEqual(publish.files[0]);
});

test('an empty service says so, and begins a realm once it is given one', async () => {
  await using service = await startTestService();
  const { client } = service;
  expect(await (await client.get('health')).json()).toEqual({ realm: false, streams: 0 });
  for (const path of ['metadata/timestamp.json', 'events', `echo/${'0'.repeat(64)}`, 'joins']) {
    const response = await client.get(path, { authorization: 'Bearer e30.e30.e30' });
    expect([response.status, await response.json()]).toMatchObject([404, { code: 'realm-missing' }]);
  }
  const realm = await TestRealm.make(await client.onlineKeys());
  expect(await client.publish(realm.delegate('payments'))).toMatchObject({
    status: 404,
    body: { code: 'realm-missing' },
  });
  expect(await client.create(realm.genesis)).toEqual({
    status: 201,
    body: { roles: { targets: 1, fleet: 1, 'fleet-hosts': 1 }, snapshot: 1, timestamp: 1, ...MOMENT },
  });
  expect(await (await client.get('health')).json()).toEqual({ realm: true, streams: 0 });
});

test('a realm begins with targets, fleet and fleet-hosts, and nothing else', async () => {
  await using service = await startTestService();
  const { client } = service;
  const { genesis } = await TestRealm.make(await client.onlineKeys());
  const [targets, fleet, hosts] = genesis.roles;
  for (const roles of [
    [targets!],
    [targets!, fleet!],
    [fleet!, targets!, hosts!],
    [...genesis.roles, { name: 'payments', metadata: targets!.metadata }],
  ]) {
    expect(await client.create({ ...genesis, roles })).toMatchObject({ body: { code: 'metadata-missing' } });
  }
  expect(await client.create(genesis)).toMatchObject({ status: 201 });
});

test('several roles in one publish take effect together, or none does', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  const before = await client.file('metadata/timestamp.json');
  const billing = realm.delegate('billing');
  const secret = await realm.put('billing', 'key');
  const stale = realm.draft('payments', { version: 1 });
  expect(await client.publish(merged(merged(billing, secret), stale))).toMatchObject({ status: 409 });
  expect(await client.file('metadata/timestamp.json')).toEqual(before);
  // A role cannot come before the one that delegates it.
  expect(await client.publish(merged(secret, billing))).toMatchObject({ body: { code: 'metadata-missing' } });
  expect(await client.publish(merged(billing, secret))).toEqual({
    status: 200,
    body: { roles: { targets: 3, billing: 1 }, snapshot: 3, timestamp: 3, ...MOMENT },
  });
  await client.verify(realm.genesis.root, service.clock.now(), ['billing', 'fleet', 'fleet-hosts']);
});

test('of two racing publishes exactly one wins', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  const rivals = ['one', 'two'].map((author) => realm.draft('payments', { author }));
  const replies = await Promise.all(rivals.map((rival) => client.publish(rival)));
  expect(replies.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect(replies.find(({ status }) => status === 409)?.body).toMatchObject({ code: 'conflict' });
  const winner = rivals[replies.findIndex(({ status }) => status === 200)]!;
  expect(await client.file('metadata/2.payments.json')).toEqual(winner.roles[0]!.metadata);
});

test('a restart keeps everything', async () => {
  const { service, realm } = await startPayments();
  const before = await service.client.file('metadata/timestamp.json');
  await using restarted = await service.restart();
  const { client } = restarted;
  expect(await client.file('metadata/timestamp.json')).toEqual(before);
  expect(await client.publish(await realm.put('payments', 'db'))).toMatchObject({ status: 200 });
  await client.verify(realm.genesis.root, restarted.clock.now(), ['payments']);
});

test('a service whose keys were lost does not sign with others', async () => {
  const { service } = await startPayments();
  await using _service = service;
  rmSync(join(service.data, 'timestamp.ed25519'));
  await expect(service.restart()).rejects.toThrow(expect.objectContaining({ code: 'online-keys-mismatch' }));
});

test.each(['snapshot.ed25519', '.'])('%s open to others is refused', async (name) => {
  const service = await startTestService();
  await using _service = service;
  chmodSync(join(service.data, name), 0o755);
  await expect(service.restart()).rejects.toThrow(expect.objectContaining({ code: 'config-invalid' }));
});

test('its files are for its owner only', async () => {
  await using service = await startTestService();
  for (const file of readdirSync(service.data)) {
    expect([file, statSync(join(service.data, file)).mode & 0o777]).toEqual([file, 0o600]);
  }
});

describe('envelopes', () => {
  test('go with the last version that lists them', async () => {
    const { service, client, realm } = await startPayments();
    await using _service = service;
    const path = envelopePath(realm.secret('payments', 'db')!, 1);
    expect((await client.get(path)).status).toBe(200);
    expect(await client.publish(realm.revoke('payments', 'db', 1))).toMatchObject({ status: 200 });
    const gone = await client.get(path);
    expect([gone.status, await gone.json()]).toMatchObject([404, { code: 'not-found' }]);
  });

  test('stay while an overlap runs', async () => {
    const { service, client, realm } = await startPayments();
    await using _service = service;
    const path = envelopePath(realm.secret('payments', 'db')!, 1);
    await client.publish(await realm.put('payments', 'db'));
    expect((await client.get(path)).status).toBe(200);
  });
});

describe('freshness', () => {
  test('the timestamp stays as it is for half its life, then is signed anew, once for all who ask', async () => {
    const { service, client, realm } = await startPayments({ lease: 600 });
    await using _service = service;
    const before = await client.file('metadata/timestamp.json');
    service.clock.advance(4 * MINUTE);
    expect(await client.file('metadata/timestamp.json')).toEqual(before);
    service.clock.advance(2 * MINUTE);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => client.file('metadata/timestamp.json')),
    );
    expect(new Set(answers.map((answer) => Buffer.from(answer).toString())).size).toBe(1);
    const { timestamp } = await client.verify(realm.genesis.root, service.clock.now());
    expect(timestamp?.role).toMatchObject({ version: 3, lease: 600 });
  });

  test('after weeks of silence the snapshot is renewed too', async () => {
    const { service, client, realm } = await startPayments();
    await using _service = service;
    service.clock.advance(20 * DAY);
    const { snapshot } = await client.verify(realm.genesis.root, service.clock.now(), ['payments']);
    expect(snapshot?.role.version).toBe(3);
  });

  test('under an expired root nothing more is signed; what is there is served on, for whoever extends it', async () => {
    const { service, client } = await startPayments();
    await using _service = service;
    const last = await client.file('metadata/timestamp.json');
    service.clock.advance(20 * DAY);
    expect(await client.file('metadata/timestamp.json'), 'control').not.toEqual(last);
    const newest = await client.file('metadata/timestamp.json');
    service.clock.advance(400 * DAY);
    expect(await client.file('metadata/timestamp.json')).toEqual(newest);
  });
});

test('a namespace whose delegation got another key takes its next version from that key alone', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  const heir = makeSigner();
  const old = object(realm.role('targets').raw['delegations'], 'delegations');
  const roles = (old['roles'] as readonly JsonObject[]).map((role) =>
    role['name'] === 'payments' ? { ...role, keyids: [heir.keyid] } : role,
  );
  const keys = { ...object(old['keys'], 'keys'), [heir.keyid]: ed25519KeyJson(heir.publicHex) };
  const delegations = { keys, roles };
  expect(await client.publish(realm.adopt(realm.draft('targets', { delegations })))).toMatchObject({
    status: 200,
  });
  expect(await client.publish(realm.draft('payments', {}))).toMatchObject({
    body: { code: 'signature-threshold' },
  });
  const gone = realm.draft('payments', { targets: {} }, { signer: heir });
  expect(await client.publish(gone)).toMatchObject({ body: { code: 'secret-vanished' } });
  expect(await client.publish(realm.draft('payments', {}, { signer: heir }))).toMatchObject({ status: 200 });
});

test('old versions of a role are kept for refreshes under way, but not for ever', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  for (let i = 0; i < 16; i++) await client.publish(realm.adopt(realm.draft('payments', {})));
  const statuses = [
    '1.payments.json',
    '2.payments.json',
    '17.payments.json',
    '1.root.json',
    '1.targets.json',
  ].map(async (file) => (await client.get(`metadata/${file}`)).status);
  expect(await Promise.all(statuses)).toEqual([404, 200, 200, 200, 200]);
});

describe('HTTP', () => {
  test('the timestamp is never cached, versioned metadata for ever, envelopes never', async () => {
    const { service, client, realm } = await startPayments();
    await using _service = service;
    const header = async (path: string): Promise<string | null> =>
      (await client.get(path)).headers.get('cache-control');
    expect(await header('metadata/timestamp.json')).toBe('no-store');
    expect(await header('metadata/1.root.json')).toBe('public, max-age=31536000, immutable');
    expect(await header(envelopePath(realm.secret('payments', 'db')!, 1))).toBe('no-store');
  });

  test.each([
    ['nothing', 404, 'not-found'],
    ['metadata/2.root.json', 404, 'not-found'],
    ['metadata/root.json', 404, 'not-found'],
    ['metadata/..%2Fstore.sqlite', 404, 'not-found'],
    ['metadata/%ff.json', 400, 'request-malformed'],
    [`metadata/${'9'.repeat(300)}.json`, 400, 'request-malformed'],
    ['targets/payments/db@1', 404, 'not-found'],
    ['targets/payments%2Fx/db@1', 404, 'not-found'],
    ['targets/fleet-hosts/web-1', 404, 'not-found'],
    ['targets/fleet-hosts%2F..%2Fpayments/db@1', 404, 'not-found'],
    ['targets/2.root.json/', 404, 'not-found'],
    ['echo/', 400, 'request-malformed'],
    [`echo/${'g'.repeat(64)}`, 400, 'request-malformed'],
    [`echo/${'0'.repeat(65)}`, 400, 'request-malformed'],
  ])('GET %s: %i %s', async (path, status, code) => {
    const { service, client } = await startPayments();
    await using _service = service;
    const response = await client.get(path);
    expect([response.status, await response.json()]).toMatchObject([status, { code }]);
  });

  test("each answer tells the service's time", async () => {
    const { service, client } = await startPayments();
    await using _service = service;
    service.clock.advance(-DAY);
    for (const path of ['health', 'metadata/timestamp.json', 'nothing', 'receipts']) {
      const { headers } = await client.get(path);
      expect(Math.abs(Date.parse(headers.get('date') ?? '') - service.clock.now())).toBeLessThan(1000);
    }
  });

  test('only JSON is taken', async () => {
    await using service = await startTestService();
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect(await service.client.post('publish', 'role=payments', form)).toMatchObject({
      status: 415,
      body: { code: 'media-type-unsupported' },
    });
    expect(await service.client.post('publish', '')).toMatchObject({
      status: 400,
      body: { code: 'json-invalid' },
    });
  });
});
