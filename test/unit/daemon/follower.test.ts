// Following a service that answers, fails, lies and comes back: only an answer to a nonce renews leases, each namespace's by
// itself, and nothing ends the following.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TrustStore } from '../../../client/trust-store.ts';
import { Updater } from '../../../client/updater.ts';
import { Follower } from '../../../daemon/follower.ts';
import type { FollowerParts } from '../../../daemon/follower.ts';
import { Keyring } from '../../../daemon/host/keyring.ts';
import { Leases } from '../../../daemon/leases.ts';
import { entitlementOf, wantsOf } from '../../../daemon/entitlement.ts';
import type { Arrival, Serving } from '../../../daemon/serving.ts';
import type { News } from '../../../manifest/realm/exchange.ts';
import { ClientError } from '../../../client/errors.ts';
import { parseNamespace } from '../../../manifest/names.ts';
import type { TestHost } from '../../support/realm.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { MemoryService } from '../client/memory-service.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-follower-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let stores = 0;
/** Instead of vitest's second. */
const PATIENT = { timeout: 20_000 };

let clock: ManualClock;
let service: MemoryService;
let updater: Updater;
let leases: Leases;
let follower: Follower;
let parts: FollowerParts;
let ending: AbortController;
let running: Promise<void>;
let keyring: Keyring;
let warnings: string[];
let alarms: string[];
let host: TestHost;
/** The version of db that was served last. */
let served: number | undefined;
let arrival: Arrival;
let serve: () => Promise<void>;
/** Whether an envelope could not be fetched. */
let isShort: boolean;
/** Each time the stream is opened: what it resumes from. */
let streams: (string | undefined)[];
let push: (id: string, news: News) => void;
let breakOff: () => void;

beforeEach(async () => {
  clock = new ManualClock();
  service = await MemoryService.start(clock);
  const store = join(directory, String(++stores));
  const joined = await service.realm.join('web-1');
  service.put(joined.publish);
  host = joined.host;
  updater = await Updater.open({
    anchor: service.realm.genesis.root,
    storeFor: (realm) => new TrustStore(store, realm),
    transport: service,
    clock,
    wants: wantsOf(host),
  });
  leases = new Leases(() => clock.boot());
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  [streams, warnings, alarms, served] = [[], [], [], undefined];
  ending = new AbortController();
  serve = () => Promise.resolve();
  isShort = false;
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
    get isShort() {
      return isShort;
    },
    apply: async (what: Arrival) => {
      arrival = what;
      const db = [...what.entitlement.secrets.values()].flatMap((secrets) => [...secrets.values()])[0];
      served = db?.newestVersion;
      await serve();
    },
  } as unknown as Serving;
  const log = {
    info: () => undefined,
    warn: (text: string) => void warnings.push(text),
    error: (text: string) => void alarms.push(text),
  };
  const { encryptionKey } = host;
  const { id: realm } = service.realm;
  keyring = new Keyring({ realm, encryptionKey, transport: service, onChange: () => undefined });
  parts = { self: host, updater, transport: service, keyring, serving, leases, clock, log };
  follower = new Follower(parts);
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
        end(),
        served,
        streams.length,
        service.asked.length,
        clock.pending,
        warnings.length,
      ].join();
      const isSaving = process.getActiveResourcesInfo().some((name) => name.startsWith('FSReq'));
      quiet = now === before && !isSaving && clock.pending > 0 ? quiet + 1 : 0;
      before = now;
      expect(quiet).toBeGreaterThanOrEqual(8);
    },
    { interval: 8, ...PATIENT },
  );
}

async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await calm();
}

const put = async (): Promise<News> => service.put(await service.realm.put('payments', 'db'));

const end = (namespace = 'payments'): number => leases.end(leases.place(parseNamespace(namespace)));

test('the first answer to a nonce begins the leases, from when it was asked', () => {
  expect([served, end(), leases.end()]).toEqual([1, clock.boot() + 60_000, clock.boot() + 60_000]);
  expect([warnings, follower.problems]).toEqual([[], []]);
});

test('pushed news is served at once, and renews nothing', async () => {
  const before = end();
  clock.advance(1000);
  await calm();
  push('1', await put());
  await calm();
  expect([served, end(), follower.streaming]).toEqual([2, before, true]);
});

test('news that only a new root explains is in effect at once, not at the next renewal', async () => {
  const before = end();
  push('1', service.rotate());
  push('2', await put());
  await calm();
  expect([served, end(), follower.streaming, warnings]).toEqual([2, before, true, []]);
  await pass(40_000);
  expect([end() > before, warnings]).toEqual([true, []]);
});

test('the first renewal is not over by news, but by an answer to a nonce', async () => {
  let isRenewed = false;
  ending.abort();
  await running;
  service.gate = (file) => (file === 'echo' ? Promise.reject(new Error('no echo')) : Promise.resolve());
  ending = new AbortController();
  follower = new Follower(parts);
  void follower.renewed.then(() => (isRenewed = true));
  running = follower.run(ending.signal);
  await calm();
  push('1', await put());
  await calm();
  expect([served, isRenewed]).toEqual([2, false]);
  service.gate = () => Promise.resolve();
  await pass(2000);
  expect(isRenewed).toBe(true);
});

test('when news came, was verified: told to whoever makes it take effect', async () => {
  clock.advance(5);
  push('1', await put());
  await calm();
  expect([arrival.receivedAt, arrival.verifiedAt]).toEqual([clock.monotonic(), clock.monotonic()]);
});

describe('with a stream', () => {
  test.for([
    [0, 20_000],
    [0.5, 30_000],
    [1, 40_000],
  ] as const)(
    'a nonce is sent in the middle third of the lease (%d: after %d ms)',
    async ([random, after]) => {
      vi.spyOn(Math, 'random').mockReturnValue(random);
      push('1', await put());
      await calm();
      await pass(30_000);
      const [begun, asked] = [end(), service.asked.length];
      await pass(after - 1);
      expect([end(), service.asked.length]).toEqual([begun, asked]);
      await pass(1);
      expect(end()).toBe(begun + after);
    },
  );

  test('in the middle third of the shortest lease that a policy allows', async () => {
    service.put(service.realm.delegate('billing', { leaseSeconds: 6 }));
    push('1', service.put(await service.realm.put('billing', 'db')));
    await calm();
    const begun = clock.boot();
    expect([end('billing'), end()]).toEqual([begun + 6000, begun + 60_000]);
    await pass(3000);
    expect([end('billing'), end()]).toEqual([begun + 9000, begun + 63_000]);
  });

  test('a namespace that is new here has its lease at once', async () => {
    push('1', await put());
    await pass(2000);
    await pass(1000);
    const before = end();
    push('2', service.put(service.realm.delegate('billing')));
    await calm();
    expect([end('billing'), end() > before]).toEqual([clock.boot() + 60_000, true]);
  });
});

test('without a stream it asks every two seconds at the latest', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(1);
  await pass(2000);
  const ends = [end()];
  for (let i = 0; i < 3; i++) {
    await pass(2000);
    ends.push(end());
  }
  expect(ends.map((each) => each - ends[0]!)).toEqual([0, 2000, 4000, 6000]);
});

test('when something could not be fetched, it looks again soon, not when the lease asks for it', async () => {
  isShort = true;
  push('1', await put());
  await pass(2000);
  for (const _ of [1, 2, 3]) {
    const before = end();
    await pass(2000);
    expect(end()).toBe(before + 2000);
  }
  isShort = false;
  await pass(2000);
  const before = end();
  await pass(20_000);
  expect(end()).toBe(before);
});

test('when the stream breaks, it asks soon, not when it would have', async () => {
  push('1', await put());
  await pass(2000);
  await pass(1000);
  const before = end();
  breakOff();
  await calm();
  await pass(1499);
  expect(end()).toBe(before);
  await pass(1);
  expect(end()).toBeGreaterThan(before);
});

test('when the service knows this host no more, it looks at once why', async () => {
  push('1', await put());
  await pass(2000);
  await pass(1000);
  service.put(await service.realm.remove('web-1'));
  service.news = () => {
    throw new ClientError('token-refused', 'this host was removed', { reason: 'host-removed' });
  };
  breakOff();
  await calm();
  await pass(100);
  expect(arrival.entitlement.refusal?.code).toBe('host-removed');
});

describe('a lease runs out', () => {
  const holds = (namespace = 'payments'): boolean => leases.holds(leases.place(parseNamespace(namespace)));

  test('while the service is gone, and is back with it', async () => {
    service.gate = () => Promise.reject(new ClientError('service-unreachable', 'gone'));
    for (let i = 0; i < 31; i++) await pass(2000);
    expect([holds(), follower.lastError]).toEqual([false, 'gone']);
    expect(warnings).toHaveLength(1);
    service.gate = () => Promise.resolve();
    await pass(2000);
    expect([holds(), follower.lastError]).toEqual([true, undefined]);
  });

  test('of one namespace that fails, and of no other', async () => {
    service.put(service.realm.delegate('billing'));
    service.put(await service.realm.put('billing', 'db'));
    await pass(2000);
    await put();
    service.files.delete('2.payments.json');
    const before = [end(), end('billing')];
    await pass(2000);
    expect([end(), end('billing')]).toEqual([before[0], before[1]! + 2000]);
    expect(arrival.entitlement.failing).toEqual(new Set(['payments']));
    expect(follower.problems.map(({ code }) => code)).toEqual(['not-found']);
    expect(warnings.filter((line) => line.includes('2.payments.json'))).toHaveLength(1);
  });

  test('of every one while fleet fails', async () => {
    const before = end();
    service.put(await service.realm.epoch());
    service.files.delete('2.fleet.json');
    await pass(2000);
    expect([end(), leases.end()]).toEqual([before, before]);
    expect(served).toBe(1);
  });

  test('but not while fleet-hosts fails, which is no part of it', async () => {
    const before = end();
    service.put((await service.realm.join('web-2')).publish);
    service.files.delete('3.fleet-hosts.json');
    await pass(2000);
    expect(end()).toBe(before + 2000);
  });

  test('while what was verified cannot be served', async () => {
    const before = end();
    serve = () => Promise.reject(new Error('the barrier failed'));
    await pass(2000);
    expect([end(), follower.lastError]).toEqual([before, 'the barrier failed']);
  });

  test('while what was verified cannot be kept; it is served all the same', async () => {
    const before = end();
    rmSync(join(directory, String(stores)), { recursive: true });
    writeFileSync(join(directory, String(stores)), '');
    await put();
    await pass(2000);
    expect([served, end()]).toEqual([2, before]);
    expect(follower.lastError).toContain('cannot write');
  });

  test('while only old answers come: of another nonce, or of a timestamp that is not the newest', async () => {
    const { echo } = service;
    const old = await echo('0'.repeat(64));
    const before = end();
    service.echo = () => Promise.resolve(old);
    for (let i = 0; i < 31; i++) await pass(2000);
    expect([end(), holds(), follower.lastError]).toEqual([
      before,
      false,
      'the answer is to another nonce than the one that was sent',
    ]);
    service.echo = echo;
    await pass(2000);
    expect(holds()).toBe(true);
  });

  test('clock-ahead: the newest timestamp has expired by this wall clock, and the service confirms that it is the newest', async () => {
    service.lifetime = { ...service.lifetime, timestamp: 300_000 };
    service.sign();
    const before = end();
    clock.wall += 3_600_000;
    await pass(2000);
    expect([end(), follower.lastError]).toEqual([before, expect.stringContaining('clock is ahead')]);
    clock.wall -= 3_600_000;
    await pass(2000);
    expect(holds()).toBe(true);
  });
});

describe('cut off from one namespace', () => {
  const PAYMENTS = parseNamespace('payments');
  let over: AbortController;
  const cutOff = (): Promise<void> => {
    over = new AbortController();
    return follower.cutOff(PAYMENTS, 100_000, over.signal);
  };

  beforeEach(async () => {
    service.put(service.realm.delegate('billing'));
    push('1', service.put(await service.realm.put('billing', 'invoice')));
    await calm();
    await vi.waitFor(() => expect(end('billing')).toBeGreaterThan(0), PATIENT);
  });

  test('nothing of it is heard and its lease is not renewed; others go on; it ends by itself, and all is heard', async () => {
    let isOver = false;
    void cutOff().then(() => (isOver = true));
    await calm();
    const before = end();
    push('2', await put());
    await vi.waitFor(() => expect([...arrival.entitlement.failing]).toEqual(['payments']), PATIENT);
    expect([...arrival.entitlement.secrets.keys()]).toEqual(['billing']);
    await pass(70_000);
    await vi.waitFor(() => expect(end('billing')).toBeGreaterThan(before), PATIENT);
    expect([end(), isOver]).toEqual([before, false]);
    await pass(30_000);
    await vi.waitFor(() => expect(end()).toBe(clock.boot() + 60_000), PATIENT);
    expect([isOver, [...arrival.entitlement.secrets.keys()].sort()]).toEqual([true, ['billing', 'payments']]);
  });

  test('a renewal that was under way when the cut began does not renew it', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    let isAsked = false;
    service.gate = (file) => {
      isAsked ||= file === 'echo';
      return file === 'echo' ? promise : Promise.resolve();
    };
    clock.advance(40_000);
    await vi.waitFor(() => expect(isAsked).toBe(true), PATIENT);
    const before = end();
    const cut = cutOff();
    service.gate = () => Promise.resolve();
    resolve(undefined);
    await vi.waitFor(() => expect(end('billing')).toBeGreaterThan(before), PATIENT);
    expect(end()).toBe(before);
    over.abort();
    await cut;
  });

  test('a host that is removed meanwhile serves nothing all the same', async () => {
    const cut = cutOff();
    push('2', service.put(await service.realm.remove('web-1')));
    await vi.waitFor(() => expect(arrival.entitlement.refusal).toBeDefined(), PATIENT);
    expect([arrival.entitlement.refusal?.code, [...arrival.entitlement.failing]]).toEqual([
      'host-removed',
      [],
    ]);
    over.abort();
    await cut;
  });
});

test('a wall clock that jumps changes no lease that is held', async () => {
  for (const jump of [3_600_000, -7_200_000]) {
    const before = end();
    clock.wall += jump;
    await pass(2000);
    expect(end()).toBe(before + 2000);
  }
});

test('news does not wait for a disk: what came is in effect while what came before is still being saved', async () => {
  const disk = Promise.withResolvers<undefined>();
  vi.spyOn(updater, 'persist').mockReturnValue(disk.promise);
  for (const version of [2, 3]) {
    push(String(version), await put());
    await calm();
    expect(served).toBe(version);
  }
  disk.resolve(undefined);
});

describe('the host is removed', () => {
  test('it may serve nothing, has no keys, says so, and asks slowly', async () => {
    expect(keyring.epochs).toEqual([{ pool: 'default', epoch: 1 }]);
    push('1', service.put(await service.realm.remove('web-1')));
    await calm();
    expect(arrival.entitlement).toMatchObject({ refusal: { code: 'host-removed' }, secrets: new Map() });
    expect([keyring.epochs, follower.problems.map(({ code }) => code)]).toEqual([[], ['host-removed']]);
    expect(warnings.filter((line) => line.includes('was removed'))).toHaveLength(1);
    breakOff();
    await pass(2000);
    const asked = service.asked.length;
    await pass(20_000);
    expect(service.asked.length).toBe(asked);
    await pass(10_000);
    expect(service.asked.length).toBeGreaterThan(asked);
  });

  test('a lease that was asked for before is not given after', async () => {
    const answer = Promise.withResolvers<undefined>();
    service.gate = (file) => (file === 'echo' ? answer.promise : Promise.resolve());
    clock.advance(2000);
    const removal = service.put(await service.realm.remove('web-1'));
    push('1', removal);
    await vi.waitFor(() => expect(arrival.entitlement.refusal).toBeDefined(), PATIENT);
    const before = end();
    answer.resolve(undefined);
    await calm();
    expect(end()).toBe(before);
  });
});

describe('what is not this host’s', () => {
  test('a namespace of other pools is neither fetched nor renewed', async () => {
    service.put(await service.realm.epoch('other'));
    service.put(service.realm.delegate('billing', { pools: ['other'] }));
    service.put(await service.realm.put('billing', 'db'));
    await pass(2000);
    expect([...arrival.entitlement.secrets.keys()]).toEqual(['payments']);
    expect(service.asked).not.toContain('1.billing.json');
    expect(end('billing')).toBe(0);
  });

  test('a host of that name with other keys: nothing is served', async () => {
    service.put((await service.realm.join('web-1')).publish);
    await pass(2000);
    expect(arrival.entitlement).toMatchObject({ refusal: { code: 'host-unlisted' }, secrets: new Map() });
    expect(entitlementOf(updater.state, host).record).toBeUndefined();
  });
});

test('an alarm is told once, as long as it lasts', async () => {
  service.put(service.realm.delegate('billing', { revoker: true }));
  await pass(2000);
  const { raw } = service.realm.role('targets');
  const delegations = raw['delegations'] as { roles: readonly { name: string }[] };
  const roles = delegations.roles.filter(({ name }) => name !== 'billing-revoker');
  service.put(service.realm.draft('targets', { delegations: { ...delegations, roles } }));
  await pass(2000);
  await pass(2000);
  expect(alarms).toEqual([expect.stringMatching(/^ALARM: .*billing-revoker.*role-vanished/)]);
  expect(arrival.entitlement.denied).toEqual(new Set(['billing']));
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
    const [ends, before] = [end(), updater.state];
    for (const pause of [100, 200, 400]) {
      push('9', bad);
      await reopensAfter(pause);
    }
    expect(new Set(streams)).toEqual(new Set([undefined]));
    expect([updater.state, end()]).toEqual([before, ends]);
  });
});

test('it ends when it is told to, in the middle of anything', async () => {
  serve = () => new Promise(() => undefined);
  ending.abort();
  await running;
  expect(clock.pending).toBe(0);
});
