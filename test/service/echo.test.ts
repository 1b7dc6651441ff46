// GET /v1/echo/NONCE: signed by the timestamp key, over the nonce, from a read that began after the question came.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkEcho, confirms } from '../../manifest/realm/echo.ts';
import { parseTimestamp } from '../../manifest/tuf/timestamp.ts';
import { OnlineKeyRing } from '../../service/online-keys.ts';
import { Repository } from '../../service/repository.ts';
import { openSqliteStore } from '../../service/store/sqlite.ts';
import type { Store } from '../../service/store/store.ts';
import { makeClock, startPayments } from '../support/realm-service.ts';
import { TestRealm } from '../support/realm.ts';

const nonce = (): string => randomBytes(32).toString('hex');

test('an echo names the newest timestamp, over that nonce, by the timestamp key', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  const set = await client.verify(realm.genesis.root, service.clock.now());
  const asked = nonce();
  const response = await client.as(undefined).get(`echo/${asked}`);
  expect(response.headers.get('cache-control')).toBe('no-store');
  const bytes = await response.bytes();
  expect(confirms(checkEcho(set, bytes, asked), set)).toBe(true);
  expect(() => checkEcho(set, bytes, nonce())).toThrow(expect.objectContaining({ code: 'echo-mismatch' }));
  await client.publish(realm.revoke('payments', 'db', 1));
  const next = checkEcho(set, await client.file(`echo/${asked}`), asked);
  expect([next.version, confirms(next, set)]).toEqual([3, false]);
});

test('it never makes a new timestamp, however old the newest is', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  const set = await client.verify(realm.genesis.root, service.clock.now());
  service.clock.advance(24 * 3600_000);
  const asked = nonce();
  expect(confirms(checkEcho(set, await client.file(`echo/${asked}`), asked), set)).toBe(true);
});

test('whoever asks after a publish was acknowledged is never told of the one before', async () => {
  const { service, client, realm } = await startPayments();
  await using _service = service;
  const set = await client.verify(realm.genesis.root, service.clock.now());
  const ask = async (): Promise<number> => {
    const asked = nonce();
    return checkEcho(set, await client.file(`echo/${asked}`), asked).version;
  };
  for (let i = 0; i < 20; i++) {
    // Questions under way while the publish is, some of which share a read.
    const early = Array.from({ length: 8 }, ask);
    const { body } = await client.publish(realm.adopt(realm.draft('payments', {})));
    expect(Math.min(...(await Promise.all(Array.from({ length: 8 }, ask))))).toBe(body['timestamp']);
    await Promise.all(early);
  }
});

test('a slow read serves those who came before it began, and nobody who came later', async () => {
  const data = mkdtempSync(join(tmpdir(), 'lapse-echo-'));
  const store = openSqliteStore(join(data, 'store.sqlite'));
  const keys = OnlineKeyRing.open(data);
  const clock = makeClock();
  const realm = await TestRealm.make(keys.publicHalves(), { now: clock.now() });
  let reads = 0;
  const opened = Promise.withResolvers<undefined>();
  let isSlow = false;
  const slow: Store = {
    async get(key) {
      reads++;
      const found = await store.get(key);
      if (isSlow) await opened.promise;
      return found;
    },
    commit: (commit) => store.commit(commit),
    changesSince: (revision, limit) => store.changesSince(revision, limit),
    watch: (listener) => store.watch(listener),
    close: () => store.close(),
  };
  const writer = await Repository.open(store, keys, clock);
  await writer.create(realm.genesis);
  const reader = await Repository.open(slow, keys, clock);
  const versionOf = (bytes: Uint8Array): unknown =>
    (JSON.parse(Buffer.from(bytes).toString()) as { signed: { version: number } }).signed.version;
  isSlow = true;
  reads = 0;
  const early = Promise.all(Array.from({ length: 5 }, () => reader.echo(nonce())));
  await new Promise((resolve) => setImmediate(resolve));
  expect(reads).toBe(1);
  await writer.publish(realm.delegate('payments'));
  const late = reader.echo(nonce());
  opened.resolve(undefined);
  expect((await early).map(versionOf)).toEqual([1, 1, 1, 1, 1]);
  expect(versionOf(await late)).toBe(2);
  expect(parseTimestamp(await writer.timestamp()).role.version).toBe(2);
  await store.close();
  rmSync(data, { recursive: true });
});
