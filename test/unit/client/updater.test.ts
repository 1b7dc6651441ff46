// The updater between a service that may lie and a state that others serve from: it moves whole or not at all.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { TrustStore } from '../../../client/trust-store.ts';
import { Updater } from '../../../client/updater.ts';
import type { RealmState } from '../../../client/reading.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseNamespace, parseSecretName } from '../../../manifest/names.ts';
import { signEcho } from '../../../manifest/realm/echo.ts';
import { makeSigner } from '../../support/realm.ts';
import { HUGE, MemoryService } from './memory-service.ts';
import { ManualClock } from './manual-clock.ts';

const PAYMENTS = parseNamespace('payments');
const BILLING = parseNamespace('billing');
const DB = parseSecretName('db');

const directory = mkdtempSync(join(tmpdir(), 'lapse-updater-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
let stores = 0;

let clock: ManualClock;
let service: MemoryService;
let updater: Updater;

const open = (store: string): Promise<Updater> =>
  Updater.open({
    anchor: service.realm.genesis.root,
    storeFor: (realm) => new TrustStore(store, realm),
    transport: service,
    clock,
  });

beforeEach(async () => {
  clock = new ManualClock();
  service = await MemoryService.start(clock);
  updater = await open(join(directory, String(++stores)));
});

const timestampOf = (state: RealmState): number | undefined => state.set.timestamp?.role.version;
const newestDb = (state: RealmState): number | undefined =>
  state.secrets.get(PAYMENTS)?.get(DB)?.newestVersion;

test('a refresh verifies all of it', async () => {
  const state = await updater.refresh();
  expect(newestDb(state)).toBe(1);
  expect(state.failures.size).toBe(0);
  expect(state.fleet?.pools.size).toBe(1);
  expect(updater.state.set).toBe(state.set);
});

describe('a lease is renewed', () => {
  test('from when the nonce was sent, however long the answer takes', async () => {
    await updater.refresh();
    service.asked.length = 0;
    const asked = clock.boot();
    service.gate = () => {
      clock.advance(100);
      return Promise.resolve();
    };
    const { sentAt, state } = await updater.renew();
    expect(sentAt).toBe(asked);
    expect(newestDb(state)).toBe(1);
    expect(service.asked).toEqual(['echo']);
  });

  test('only by an answer that names what is held: what moved is fetched first, and asked for again', async () => {
    await updater.refresh();
    service.put(await service.realm.put('payments', 'db'));
    clock.advance(5000);
    const { sentAt, state } = await updater.renew();
    expect(newestDb(state)).toBe(2);
    expect(sentAt).toBe(clock.boot());
  });

  test('not by an answer to another nonce', async () => {
    await updater.refresh();
    const old = await service.echo('0'.repeat(64));
    service.echo = () => Promise.resolve(old);
    await expect(updater.renew()).rejects.toMatchObject({ code: 'echo-mismatch' });
  });

  test('by one of keys that only the next root names: it looks there, and asks again', async () => {
    const [{ echo }, stranger] = [service, makeSigner()];
    let asked = 0;
    service.echo = (nonce) => (++asked === 1 ? Promise.resolve(strange(nonce)) : echo(nonce));
    const strange = (nonce: string) => signEcho({ version: 1, sha256: '0'.repeat(64) }, nonce, [stranger]);
    await updater.renew();
    expect([asked, service.asked.includes('2.root.json')]).toEqual([2, true]);
    service.echo = (nonce) => Promise.resolve(strange(nonce));
    await expect(updater.renew()).rejects.toMatchObject({ code: 'signature-threshold' });
  });

  test('not by an older timestamp, and not for ever', async () => {
    await updater.refresh();
    const honest = service.echo;
    const before = service.files.get('timestamp.json')!;
    service.put(await service.realm.put('payments', 'db'));
    await updater.refresh();
    service.echo = (nonce) => {
      const now = service.files.get('timestamp.json')!;
      service.files.set('timestamp.json', before);
      return honest(nonce).finally(() => service.files.set('timestamp.json', now));
    };
    await expect(updater.renew()).rejects.toMatchObject({ code: 'realm-moving' });
  });
});

test('what did not change is not fetched again', async () => {
  await updater.refresh();
  service.asked.length = 0;
  const before = updater.state;
  const again = await updater.refresh();
  expect(service.asked).toEqual(['2.root.json', 'timestamp.json']);
  expect(again.set).toBe(before.set);
  expect(again.secrets.get(PAYMENTS)).toBe(before.secrets.get(PAYMENTS));
});

describe('order', () => {
  test('callers that wait for the same refresh share it; one that runs already is not shared', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    service.gate = () => promise;
    const running = updater.refresh();
    await Promise.resolve();
    const waiting = updater.refresh();
    expect(updater.refresh()).toBe(waiting);
    expect(waiting).not.toBe(running);
    resolve(undefined);
    await Promise.all([running, waiting]);
    expect(service.asked.filter((file) => file === 'timestamp.json')).toHaveLength(2);
  });

  test('news that comes during a refresh is taken after it', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    service.gate = () => promise;
    const old = service.files.get('timestamp.json')!;
    const refreshing = updater.refresh();
    const news = service.put(await service.realm.put('payments', 'db'));
    service.files.set('timestamp.json', old);
    const offered = updater.offer(news);
    resolve(undefined);
    expect(newestDb(await refreshing)).toBe(1);
    expect(newestDb(await offered)).toBe(2);
    expect(newestDb(updater.state)).toBe(2);
    await expect(updater.refresh()).rejects.toMatchObject({ code: 'version-rollback' });
    expect(newestDb(updater.state)).toBe(2);
  });

  test('a failure does not hold up what comes after it', async () => {
    const timestamp = service.files.get('timestamp.json')!;
    service.files.delete('timestamp.json');
    const failing = updater.refresh();
    const news = updater.offer({ timestamp, files: new Map() });
    await expect(failing).rejects.toMatchObject({ code: 'not-found' });
    expect(newestDb(await news)).toBe(1);
  });
});

describe('news', () => {
  test('carries its files, and what it does not carry is fetched', async () => {
    await updater.refresh();
    const news = service.put(await service.realm.put('payments', 'db'));
    service.asked.length = 0;
    await updater.offer(news);
    expect(service.asked).toEqual([]);
    const { timestamp } = service.put(await service.realm.put('payments', 'db'));
    await updater.offer({ timestamp, files: new Map() });
    expect(service.asked).toEqual(['5.snapshot.json', '3.payments.json']);
    expect(newestDb(updater.state)).toBe(3);
  });

  test('a file in it that is not what was signed is refused', async () => {
    await updater.refresh();
    const before = updater.state;
    const news = service.put(await service.realm.put('payments', 'db'));
    const [snapshot] = [...news.files.keys()].filter((file) => file.endsWith('.snapshot.json'));
    const files = new Map(news.files).set(snapshot!, service.files.get('1.snapshot.json')!);
    await expect(updater.offer({ ...news, files })).rejects.toMatchObject({ code: 'length-mismatch' });
    expect(updater.state).toBe(before);
  });
});

describe('refused, and the state stays as it was', () => {
  let old = new Map<string, Uint8Array>();

  test.for<[string, string, (next: string) => void]>([
    [
      'an older timestamp',
      'version-rollback',
      () => service.files.set('timestamp.json', old.get('timestamp.json')!),
    ],
    [
      'a timestamp by nobody',
      'signature-threshold',
      () => service.files.set('timestamp.json', forge('timestamp.json')),
    ],
    ['a timestamp that has expired', 'metadata-expired', () => void (clock.wall += 25 * 3600_000)],
    ['a timestamp that is too large', 'answer-too-large', () => service.files.set('timestamp.json', HUGE)],
    ['no timestamp', 'not-found', () => service.files.delete('timestamp.json')],
    ['a snapshot with other bytes', 'hash-mismatch', (next) => service.files.set(next, flip(next))],
    [
      'a snapshot cut short',
      'length-mismatch',
      (next) => service.files.set(next, service.files.get(next)!.slice(1)),
    ],
    ['a snapshot that is too large', 'answer-too-large', (next) => service.files.set(next, HUGE)],
    ['no snapshot', 'not-found', (next) => service.files.delete(next)],
    ['a root by nobody', 'signature-threshold', () => service.files.set('2.root.json', forge('1.root.json'))],
    ['a root that is too large', 'answer-too-large', () => service.files.set('2.root.json', HUGE)],
  ])('%s', async ([, code, attack]) => {
    service.files.set('1.root.json', service.realm.genesis.root);
    old = new Map(service.files);
    service.put(await service.realm.put('payments', 'db'));
    await updater.refresh();
    const before = updater.state;
    const { files } = service.put(await service.realm.put('payments', 'db'));
    const honest = new Map(service.files);
    attack([...files.keys()].find((file) => file.endsWith('.snapshot.json'))!);
    await expect(updater.refresh()).rejects.toMatchObject({ code });
    expect(updater.state).toBe(before);
    service.files = honest;
    clock.wall = new ManualClock().wall;
    expect(newestDb(await updater.refresh())).toBe(3);
  });

  function forge(file: string): Uint8Array {
    const { signed } = JSON.parse(Buffer.from(service.files.get(file)!).toString()) as { signed: JsonObject };
    const version = (signed['version'] as number) + 1;
    return Buffer.from(JSON.stringify({ signed: { ...signed, version }, signatures: [] }));
  }

  function flip(file: string): Uint8Array {
    const bytes = service.files.get(file)!;
    return bytes.with(bytes.length >> 1, bytes[bytes.length >> 1]! ^ 1);
  }
});

test('a snapshot that has expired since is refused, though the timestamp still names it', async () => {
  service.lifetime = { snapshot: 60_000, timestamp: 3600_000 };
  service.sign();
  await updater.refresh();
  clock.advance(60_000);
  await expect(updater.refresh()).rejects.toMatchObject({ code: 'metadata-expired' });
  service.sign();
  expect(newestDb(await updater.refresh())).toBe(1);
});

describe('one namespace that fails', () => {
  beforeEach(async () => {
    service.put(service.realm.delegate('billing'));
    service.put(await service.realm.put('billing', 'db'));
    await updater.refresh();
  });

  const failing = (state: RealmState): unknown =>
    [...state.failures].map(([namespace, { code }]) => [namespace, code]);

  test.for<[string, string, (file: string) => void]>([
    ['missing', 'not-found', (file) => service.files.delete(file)],
    [
      'another role',
      'length-mismatch',
      (file) => service.files.set(file, service.files.get('1.payments.json')!),
    ],
    ['too large', 'answer-too-large', (file) => service.files.set(file, HUGE)],
  ])('%s: it alone, and it comes back', async ([, code, attack]) => {
    service.put(await service.realm.put('payments', 'db'));
    const file = '2.payments.json';
    const honest = service.files.get(file)!;
    attack(file);
    const state = await updater.refresh();
    expect(failing(state)).toEqual([['payments', code]]);
    expect([...state.secrets.keys()]).toEqual(['billing']);
    service.files.set(file, honest);
    const again = await updater.refresh();
    expect(failing(again)).toEqual([]);
    expect(newestDb(again)).toBe(2);
  });

  test('signed by somebody else', async () => {
    service.put(service.realm.draft('payments', {}, { signer: makeSigner() }));
    expect(failing(await updater.refresh())).toEqual([['payments', 'signature-threshold']]);
  });

  test('expired while nothing else moved', async () => {
    service.put(service.realm.draft('payments', { expires: '2026-01-31T14:00:00Z' }));
    await updater.refresh();
    clock.advance(3 * 3600_000);
    const state = await updater.refresh();
    expect(failing(state)).toEqual([['payments', 'metadata-expired']]);
    expect(state.secrets.has(BILLING)).toBe(true);
  });
});

describe('a floor that sinks', () => {
  const code = (state: RealmState): string | undefined => state.failures.get(PAYMENTS)?.code;
  let before: JsonObject;

  beforeEach(async () => {
    before = service.realm.targets('payments');
    await updater.refresh();
    service.put(service.realm.revoke('payments', 'db', 1));
    await updater.refresh();
    await updater.persist();
  });

  /** The namespace's own signer takes a revocation back. */
  const sink = (): unknown =>
    service.put(service.realm.adopt(service.realm.draft('payments', { targets: before })));

  test('is refused, and again when it is shown again', async () => {
    sink();
    expect(code(await updater.refresh())).toBe('floor-sank');
    expect(code(await updater.refresh())).toBe('floor-sank');
    sink();
    expect(code(await updater.refresh())).toBe('floor-sank');
  });

  test('is refused although an update between failed for another reason', async () => {
    service.put(service.realm.draft('payments', {}, { signer: makeSigner() }));
    expect(code(await updater.refresh())).toBe('signature-threshold');
    sink();
    expect(code(await updater.refresh())).toBe('floor-sank');
  });

  test('is refused after a restart', async () => {
    sink();
    const restarted = await open(join(directory, String(stores)));
    expect(code(await restarted.refresh())).toBe('floor-sank');
  });

  test('that comes back up is accepted', async () => {
    const good = service.realm.targets('payments');
    sink();
    await updater.refresh();
    service.put(service.realm.adopt(service.realm.draft('payments', { targets: good })));
    expect(code(await updater.refresh())).toBeUndefined();
  });
});

describe('what is kept on disk', () => {
  test('guards against rollback after a restart, and a first start trusts only the anchor', async () => {
    const old = new Map(service.files);
    service.put(await service.realm.put('payments', 'db'));
    await updater.refresh();
    await updater.persist();
    service.files = old;
    await expect((await open(join(directory, String(stores)))).refresh()).rejects.toMatchObject({
      code: 'version-rollback',
    });
    const first = await open(join(directory, String(++stores)));
    expect(timestampOf(await first.refresh())).toBe(3);
  });

  test('serves nothing until it was confirmed', async () => {
    await updater.refresh();
    await updater.persist();
    const restarted = await open(join(directory, String(stores)));
    expect(timestampOf(restarted.state)).toBe(3);
    expect(restarted.state.secrets.size).toBe(0);
  });
});

test('a namespace that nobody here wants is not fetched', async () => {
  const store = join(directory, String(++stores));
  const picky = await Updater.open({
    anchor: service.realm.genesis.root,
    storeFor: (realm) => new TrustStore(store, realm),
    transport: service,
    clock,
    wants: (namespace) => namespace !== PAYMENTS,
  });
  service.asked.length = 0;
  const state = await picky.refresh();
  expect(state.secrets.size).toBe(0);
  expect(state.policies.has(PAYMENTS)).toBe(true);
  expect(service.asked.filter((file) => file.endsWith('.payments.json'))).toEqual([]);
});
