// Following a service that answers, fails, lies and comes back: only a refresh renews the lease, and nothing ends it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TrustStore } from '../../../client/trust-store.ts';
import { Updater } from '../../../client/updater.ts';
import { Follower } from '../../../daemon/follower.ts';
import { Lease } from '../../../daemon/lease.ts';
import type { Serving } from '../../../daemon/serving.ts';
import type { News } from '../../../manifest/realm/exchange.ts';
import { ClientError } from '../../../client/errors.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { MemoryService } from '../client/memory-service.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-follower-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let stores = 0;

let clock: ManualClock;
let service: MemoryService;
let updater: Updater;
let lease: Lease;
let follower: Follower;
let ending: AbortController;
let running: Promise<void>;
let warnings: string[];
/** The version of db that was served last. */
let served: number | undefined;
let serve: () => Promise<void>;
/** Each time the stream is opened: what it resumes from. */
let streams: (string | undefined)[];
let push: (id: string, news: News) => void;
let breakOff: () => void;

beforeEach(async () => {
  clock = new ManualClock();
  service = await MemoryService.start(clock);
  const store = join(directory, String(++stores));
  updater = await Updater.open(
    service.realm.genesis.root,
    (realm) => new TrustStore(store, realm),
    service,
    clock,
  );
  lease = new Lease(() => clock.boot());
  [streams, warnings, served] = [[], [], undefined];
  ending = new AbortController();
  serve = () => Promise.resolve();
  service.news = async function* (lastId, signal) {
    streams.push(lastId);
    const queue: { id: string; news: News }[] = [];
    let waiting = Promise.withResolvers<boolean>();
    push = (id, news) => {
      queue.push({ id, news });
      waiting.resolve(true);
    };
    breakOff = () => waiting.resolve(false);
    signal.addEventListener('abort', breakOff);
    while (await waiting.promise) {
      waiting = Promise.withResolvers();
      yield* queue.splice(0);
    }
    if (!signal.aborted) throw new ClientError('stream-ended', 'broken off');
  };
  const serving = {
    begun: true,
    apply: async (state: Updater['state']) => {
      const db = [...state.secrets.values()].flatMap((secrets) => [...secrets.values()])[0];
      served = db?.newestVersion;
      await serve();
    },
  } as unknown as Serving;
  const log = {
    info: () => undefined,
    warn: (text: string) => void warnings.push(text),
    error: () => undefined,
  };
  follower = new Follower({ updater, transport: service, serving, lease, clock, log });
  running = follower.run(ending.signal);
  await calm();
});

afterEach(async () => {
  ending.abort();
  await running;
});

/** Until both loops wait for the clock or for news, everything else having been done: saving may take a busy disk a while. */
async function calm(): Promise<void> {
  let before = '';
  let quiet = 0;
  await vi.waitFor(
    () => {
      const now = [
        lease.end,
        served,
        streams.length,
        service.asked.length,
        clock.pending,
        warnings.length,
      ].join();
      quiet = now === before && clock.pending > 0 ? quiet + 1 : 0;
      before = now;
      expect(quiet).toBeGreaterThanOrEqual(5);
    },
    { interval: 15, timeout: 5000 },
  );
}

async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await calm();
}

const put = async (): Promise<News> => service.put(await service.realm.put('payments', 'db'));

test('the first refresh begins the lease, from when it was asked', () => {
  expect([served, lease.end]).toEqual([1, clock.boot() + 60_000]);
  expect(warnings).toEqual([]);
});

test('pushed news is served at once, and renews nothing', async () => {
  const end = lease.end;
  clock.advance(1000);
  await calm();
  const before = lease.end;
  push('1', await put());
  await calm();
  expect([served, lease.end, follower.streaming]).toEqual([2, before, true]);
  expect(before).toBe(end);
});

test('with a stream, the lease is renewed every third of it', async () => {
  push('1', await put());
  await pass(2000);
  const begun = lease.end;
  const asked = service.asked.length;
  await pass(17_000);
  expect([lease.end, service.asked.length]).toEqual([begun, asked]);
  await pass(1000 + 2000);
  expect(lease.end).toBeGreaterThan(begun);
});

test('without a stream it asks every two seconds', async () => {
  const ends = [lease.end];
  for (let i = 0; i < 3; i++) {
    await pass(2000);
    ends.push(lease.end);
  }
  expect(ends.map((end) => end - ends[0]!)).toEqual([0, 2000, 4000, 6000]);
});

describe('the lease runs out', () => {
  test('while the service is gone, and is back with it', async () => {
    const { files } = service;
    service.files = new Map();
    for (let i = 0; i < 30; i++) await pass(2000);
    expect(lease.holds()).toBe(false);
    expect(follower.lastError).toContain('timestamp.json');
    expect(warnings).toHaveLength(1);
    service.files = files;
    await pass(2000);
    expect([lease.holds(), follower.lastError]).toEqual([true, undefined]);
  });

  test('while one namespace fails, though the rest is served', async () => {
    service.put(service.realm.delegate('billing'));
    service.put(await service.realm.put('billing', 'db'));
    await put();
    service.files.delete('2.payments.json');
    const end = lease.end;
    await pass(2000);
    await pass(2000);
    expect([served, lease.end]).toEqual([1, end]);
    expect(follower.lastError).toContain('2.payments.json');
  });

  test('while what was verified cannot be served', async () => {
    const end = lease.end;
    serve = () => Promise.reject(new Error('the barrier failed'));
    await pass(2000);
    expect([lease.end, follower.lastError]).toEqual([end, 'the barrier failed']);
  });

  test('while what was verified cannot be kept', async () => {
    const end = lease.end;
    rmSync(join(directory, String(stores)), { recursive: true });
    writeFileSync(join(directory, String(stores)), '');
    await put();
    await pass(2000);
    expect([served, lease.end]).toEqual([2, end]);
    expect(follower.lastError).toContain('cannot write');
  });
});

describe('the stream', () => {
  async function reopensAfter(ms: number): Promise<void> {
    await calm();
    const opened = streams.length;
    await pass(ms - 1);
    expect(streams).toHaveLength(opened);
    await pass(1);
    expect(streams).toHaveLength(opened + 1);
  }

  test('is resumed behind what was served last', async () => {
    push('7', await put());
    await calm();
    breakOff();
    await calm();
    expect(follower.streaming).toBe(false);
    await pass(100);
    expect(streams).toEqual([undefined, '7']);
  });

  test('is opened ever more slowly while it breaks off, and quickly again after news', async () => {
    for (const pause of [100, 200, 400, 800, 1600, 3200, 5000, 5000]) {
      breakOff();
      await reopensAfter(pause);
    }
    push('1', await put());
    await calm();
    breakOff();
    await reopensAfter(100);
    expect(streams.at(-1)).toBe('1');
  });

  test('news that does not verify: ever more slowly too, from the same place, and nothing moves', async () => {
    const bad = { timestamp: Buffer.from('{}'), files: new Map<string, Uint8Array>() };
    const [end, before] = [lease.end, updater.state];
    for (const pause of [100, 200, 400]) {
      push('9', bad);
      await reopensAfter(pause);
    }
    expect(new Set(streams)).toEqual(new Set([undefined]));
    expect([updater.state, lease.end]).toEqual([before, end]);
  });
});

test('it ends when it is told to, in the middle of anything', async () => {
  serve = () => new Promise(() => undefined);
  ending.abort();
  await running;
  expect(clock.pending).toBe(0);
});
