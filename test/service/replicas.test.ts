// Two replicas on one store: the compare-and-set keeps the online roles from forking, whoever is faster.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseTimestamp } from '../../manifest/tuf/timestamp.ts';
import { OnlineKeyRing } from '../../service/online-keys.ts';
import { Repository } from '../../service/repository.ts';
import { openSqliteStore } from '../../service/store/sqlite.ts';
import type { Store } from '../../service/store/store.ts';
import { TestRealm } from '../support/realm.ts';
import { makeClock } from '../support/realm-service.ts';

interface Replicas extends AsyncDisposable {
  readonly one: Repository;
  readonly two: Repository;
  readonly realm: TestRealm;
}

async function startReplicas(wrap = (store: Store): Store => store): Promise<Replicas> {
  const data = mkdtempSync(join(tmpdir(), 'lapse-replicas-'));
  const store = openSqliteStore(join(data, 'store.sqlite'));
  const keys = OnlineKeyRing.open(data);
  const clock = makeClock();
  const realm = await TestRealm.make(keys.publicHalves(), { now: clock.now() });
  const one = await Repository.open(store, keys, clock);
  await one.create(realm.genesis);
  await one.publish(realm.delegate('payments'));
  await one.publish(realm.delegate('billing'));
  return {
    one,
    two: await Repository.open(wrap(store), keys, clock),
    realm,
    async [Symbol.asyncDispose]() {
      await store.close();
      rmSync(data, { recursive: true });
    },
  };
}

async function timestampVersion(repository: Repository): Promise<number> {
  return parseTimestamp(await repository.timestamp()).role.version;
}

test('publishes of different namespaces through different replicas both win', async () => {
  await using replicas = await startReplicas();
  const { one, two, realm } = replicas;
  const [payments, billing] = [await realm.put('payments', 'db'), await realm.put('billing', 'db')];
  const published = await Promise.all([one.publish(payments), two.publish(billing)]);
  expect(published.map(({ timestamp }) => timestamp).sort()).toEqual([4, 5]);
  expect(await timestampVersion(one)).toBe(5);
  expect(await timestampVersion(two)).toBe(5);
});

test('of the same namespace one wins', async () => {
  await using replicas = await startReplicas();
  const { one, two, realm } = replicas;
  const rivals = ['one', 'two'].map((author) => realm.draft('payments', { author }));
  const outcomes = await Promise.allSettled([one.publish(rivals[0]!), two.publish(rivals[1]!)]);
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
    reason: { code: 'conflict' },
  });
  expect(await timestampVersion(one)).toBe(4);
});

test('a replica that is always slower gives up with a conflict', async () => {
  let outrun: (() => Promise<unknown>) | undefined;
  await using replicas = await startReplicas((store) => ({
    get: (key) => store.get(key),
    changesSince: (revision, limit) => store.changesSince(revision, limit),
    watch: (listener) => store.watch(listener),
    close: () => store.close(),
    async commit(commit) {
      await outrun?.();
      return store.commit(commit);
    },
  }));
  const { one, two, realm } = replicas;
  outrun = () => one.publish(realm.adopt(realm.draft('billing', {})));
  await expect(two.publish(realm.draft('payments', {}))).rejects.toMatchObject({ code: 'conflict' });
  outrun = undefined;
  expect(await two.publish(realm.draft('payments', {}))).toMatchObject({
    roles: new Map([['payments', 1]]),
  });
});
