// GET /v1/events over real sockets: what is pushed, what a returning client gets, and what becomes of slow readers.
import { once } from 'node:events';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { expect, test, vi } from 'vitest';
import { EXCHANGE_LIMITS } from '../../manifest/realm/exchange.ts';
import { updateSnapshot, updateTargets, updateTimestamp } from '../../manifest/tuf/trusted-set.ts';
import { startPayments } from '../support/realm-service.ts';
import type { TestClient } from '../support/realm-service.ts';
import type { TestHost } from '../support/realm.ts';

/** vitest's own would be a second, which a machine that others load may take for an answer. */
const PATIENT = { timeout: 20_000 };

const names = (files: ReadonlyMap<string, Uint8Array>): string[] => [...files.keys()];

/** A bare connection on which an event stream was asked for. */
async function openStream(client: TestClient, host: TestHost): Promise<TLSSocket> {
  const token = await host.token();
  const socket = connect({ port: Number(new URL(client.url).port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  socket.write(`GET /v1/events HTTP/1.1\r\nHost: lapse\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  return socket;
}

test('a new stream gets the current metadata, then each change with its envelope', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  using stream = await client.events();
  const first = await stream.next();
  expect(names(first!.news.files)).toEqual([
    '2.snapshot.json',
    '2.targets.json',
    '1.fleet.json',
    '2.fleet-hosts.json',
    '1.payments.json',
  ]);

  const publish = await realm.put('payments', 'db');
  await client.publish(publish);
  const second = await stream.next();
  const { sha256 } = realm.secret('payments', 'db')!.newest!;
  expect(names(second!.news.files)).toEqual([
    '3.snapshot.json',
    '2.payments.json',
    `payments/${sha256}.db@2`,
  ]);
  expect(second!.news.files.get(`payments/${sha256}.db@2`)).toEqual(Buffer.from(publish.files[0]!));
  expect(Number(second!.id)).toBe(Number(first!.id) + 1);
});

test('one host joins: the others hear of it, and nobody gets a keyring', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  using stream = await client.events();
  const { id } = (await stream.next())!;
  const { publish } = await realm.join('web-2');
  await client.publish(publish);
  expect(names((await stream.next())!.news.files)).toEqual(['3.snapshot.json', '3.fleet-hosts.json']);
  using resumed = await client.events(id);
  expect(names((await resumed.next())!.news.files)).toEqual(['3.snapshot.json', '3.fleet-hosts.json']);
});

test("a removed host's stream is cut before it hears of the removal; the others go on", async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  const { host: second, publish } = await realm.join('web-2');
  await client.publish(publish);
  using kept = await client.events();
  using cut = await client.as(second).events();
  await kept.next();
  await cut.next();
  expect(await client.publish(await realm.remove('web-2'))).toMatchObject({ status: 200 });
  expect(await cut.next()).toBeUndefined();
  expect(names((await kept.next())!.news.files)).toEqual([
    '4.snapshot.json',
    '2.fleet.json',
    '4.fleet-hosts.json',
  ]);
  const answer = await client.as(second).get('events');
  expect([answer.status, await answer.json()]).toMatchObject([401, { code: 'host-removed' }]);
});

test('what is pushed verifies without another request', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  const now = service.clock.now();
  const set = await client.verify(realm.genesis.root, now, ['payments']);
  using stream = await client.events();
  await stream.next();
  await client.publish(realm.revoke('payments', 'db', 1));
  const { timestamp, files } = (await stream.next())!.news;
  const pushed = updateSnapshot(updateTimestamp(set, timestamp, now), files.get('3.snapshot.json')!, now);
  const { targets } = updateTargets(pushed, 'payments', files.get('2.payments.json')!, now);
  expect(targets.get('payments')!.role.version).toBe(2);
});

test('Last-Event-ID resumes: what was missed comes merged, and superseded files do not', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  const { id } = await client.events().then(async (stream) => {
    using _stream = stream;
    return (await stream.next())!;
  });
  await client.publish(await realm.put('payments', 'db', { overlapSeconds: 0 }));
  await client.publish(await realm.put('payments', 'db'));
  using resumed = await client.events(id);
  const { news } = (await resumed.next())!;
  const { sha256 } = realm.secret('payments', 'db')!.newest!;
  expect(names(news.files)).toEqual(['4.snapshot.json', '3.payments.json', `payments/${sha256}.db@3`]);
});

test('one who missed nothing gets the timestamp alone', async () => {
  const { service, client } = await startPayments();
  await using _service = service;
  using stream = await client.events();
  const { id } = (await stream.next())!;
  using resumed = await client.events(id);
  const again = (await resumed.next())!;
  expect(again.id).toBe(id);
  expect(names(again.news.files)).toEqual([]);
});

test.each(['999999', 'nonsense', '-1'])(
  'Last-Event-ID %s, unknown here, gets the current metadata',
  async (id) => {
    const { service, client } = await startPayments();
    await using _service = service;
    using stream = await client.events(id);
    expect(names((await stream.next())!.news.files)).toContain('1.payments.json');
  },
);

test('a resumed stream works across a restart of the service', async () => {
  const { service, client, realm, host } = await startPayments();
  using stream = await client.events();
  const { id } = (await stream.next())!;
  await using restarted = await service.restart();
  expect(await stream.next()).toBeUndefined();
  await restarted.client.publish(realm.revoke('payments', 'db', 1));
  using resumed = await restarted.client.as(host).events(id);
  expect(names((await resumed.next())!.news.files)).toEqual(['3.snapshot.json', '2.payments.json']);
});

test('a timestamp that has aged is signed anew before it is pushed', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  service.clock.advance(3600_000);
  using stream = await client.events();
  const { timestamp } = (await stream.next())!.news;
  const set = await client.verify(realm.genesis.root, service.clock.now());
  expect(
    updateTimestamp({ root: set.root, targets: new Map() }, timestamp, service.clock.now()),
  ).toBeDefined();
});

test('a renewed timestamp is pushed alone', async () => {
  const { service, client } = await startPayments();
  await using _service = service;
  using stream = await client.events();
  const first = (await stream.next())!;
  service.clock.advance(3600_000);
  const renewed = await client.file('metadata/timestamp.json');
  const second = (await stream.next())!;
  expect(second.id).not.toBe(first.id);
  expect(second.news).toMatchObject({ timestamp: Buffer.from(renewed), files: new Map() });
  expect(second.news.files.size).toBe(0);
});

test('a large envelope is left to be fetched', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  using stream = await client.events();
  await stream.next();
  await client.publish(
    await realm.put('payments', 'big', { value: Buffer.alloc(EXCHANGE_LIMITS.inlineFile) }),
  );
  expect(names((await stream.next())!.news.files)).toEqual(['3.snapshot.json', '2.payments.json']);
});

test('a reader that does not read is dropped; others and publishes do not wait for it', async () => {
  const fanOut = { streams: 10, backlogBytes: 64 << 10, keepAliveMs: 60_000 };
  const { service, client, realm, host } = await startPayments({ fanOut });
  await using _service = service;
  const slow = await openStream(client, host);
  slow.on('error', () => undefined).pause();
  await vi.waitFor(async () => {
    expect(await (await client.get('health')).json()).toMatchObject({ streams: 1 });
  }, PATIENT);
  using quick = await client.events();
  await quick.next();
  const value = Buffer.alloc(200 << 10);
  for (let i = 0; i < 60 && !service.events.includes('slow-stream-dropped'); i++) {
    expect(
      await client.publish(await realm.put('payments', 'db', { value, overlapSeconds: 0 })),
    ).toMatchObject({
      status: 200,
    });
    await quick.next();
  }
  expect(service.events).toContain('slow-stream-dropped');
  expect(await (await client.get('health')).json()).toMatchObject({ streams: 1 });
  slow.destroy();
});

test('streams are bounded, and one that leaves makes room', async () => {
  const { service, client } = await startPayments({
    fanOut: { streams: 1, backlogBytes: 1 << 20, keepAliveMs: 60_000 },
  });
  await using _service = service;
  const only = await client.events();
  await only.next();
  const refused = await client.get('events');
  expect([refused.status, await refused.json()]).toMatchObject([503, { code: 'streams-exhausted' }]);
  only[Symbol.dispose]();
  await vi.waitFor(async () => {
    using stream = await client.events();
    await stream.next();
  }, PATIENT);
});

test('a quiet stream is kept alive with comments', async () => {
  const { service, client, host } = await startPayments({
    fanOut: { streams: 1, backlogBytes: 1 << 20, keepAliveMs: 20 },
  });
  await using _service = service;
  const socket = await openStream(client, host);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await vi.waitFor(() => expect(text).toContain(': keep-alive\n\n'), PATIENT);
  socket.destroy();
  await once(socket, 'close');
});
