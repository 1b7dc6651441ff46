// What an updater remembers of a realm's past, and holds against whoever signs: revokers, vanished delegations, the fleet.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { RealmState } from '../../../client/reading.ts';
import { TrustStore } from '../../../client/trust-store.ts';
import { Updater } from '../../../client/updater.ts';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseNamespace, parseSecretName, parseWorkload } from '../../../manifest/names.ts';
import { readers } from '../../../manifest/realm/secret.ts';
import type { Secret } from '../../../manifest/realm/secret.ts';
import { object } from '../../../manifest/shape.ts';
import { makeSigner } from '../../support/realm.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryService } from './memory-service.ts';

const BILLING = parseNamespace('billing');
const DB = parseSecretName('db');
const WEB = parseWorkload('web');
const GRANT = { workload: WEB, file: 'db' as never, uid: 0, gid: 0, mode: 0o400 };

const scratch = mkdtempSync(join(tmpdir(), 'lapse-reading-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let stores = 0;
let clock: ManualClock;
let service: MemoryService;
let updater: Updater;

const open = (): Promise<Updater> =>
  Updater.open({
    anchor: service.realm.genesis.root,
    storeFor: (realm) => new TrustStore(join(scratch, String(stores)), realm),
    transport: service,
    clock,
  });

/** Saves, and starts again from the disk. */
async function restart(): Promise<RealmState> {
  await updater.persist();
  updater = await open();
  return updater.refresh();
}

beforeEach(async () => {
  clock = new ManualClock();
  service = await MemoryService.start(clock);
  service.put(service.realm.delegate('billing', { revoker: true }));
  service.put(await service.realm.put('billing', 'db', { grants: [GRANT] }));
  stores++;
  updater = await open();
  await updater.refresh();
});

const db = (state: RealmState): Secret | undefined => state.secrets.get(BILLING)?.get(DB);
const failure = (state: RealmState, role: string): string | undefined => state.failures.get(role)?.code;

describe('a revoker', () => {
  test('takes a version back that its namespace still lists', async () => {
    expect(db(updater.state)?.newest?.version).toBe(1);
    service.put(service.realm.takeBack('billing', 'db', 1));
    const state = await updater.refresh();
    expect(db(state)?.newest).toBeUndefined();
    expect(db(state)?.revokedThrough).toBe(1);
    expect(state.alarms).toEqual([]);
  });

  test('takes back one workload, up to a version', async () => {
    service.put(service.realm.takeGrantBack('billing', 'db', 'web', 1));
    const secret = db(await updater.refresh())!;
    expect(readers(secret, 1)).toEqual([]);
    expect(readers(secret, 2)).toEqual([GRANT]);
  });

  test('the next version lives again, over the same floor', async () => {
    service.put(service.realm.takeBack('billing', 'db', 1));
    await updater.refresh();
    service.put(await service.realm.put('billing', 'db'));
    const state = await updater.refresh();
    expect(db(state)?.newest?.version).toBe(2);
    expect(db(state)?.revokedThrough).toBe(1);
  });

  test('a namespace version that lists what was taken back before keeps the maximum, and is an alarm', async () => {
    service.put(service.realm.takeBack('billing', 'db', 1));
    await updater.refresh();
    service.put(service.realm.draft('billing', {}));
    const state = await updater.refresh();
    expect(db(state)?.newest).toBeUndefined();
    expect(state.alarms.map(({ code }) => code)).toEqual(['floor-behind']);
  });

  test('whose own floor sinks is refused, and the namespace with it', async () => {
    service.put(service.realm.takeBack('billing', 'db', 1));
    await updater.refresh();
    const floor = { db: { revokedThrough: 0, revoked: [], grants: {} } };
    service.put(service.realm.draft('billing-revoker', { withdrawals: floor }));
    const state = await updater.refresh();
    expect(failure(state, 'billing')).toBe('floor-sank');
    expect(state.secrets.has(BILLING)).toBe(false);
    expect(failure(await restart(), 'billing')).toBe('floor-sank');
  });

  test('that lists a file is refused, and the namespace with it', async () => {
    const targets = service.realm.targets('billing');
    service.put(service.realm.draft('billing-revoker', { targets, withdrawals: {} }));
    expect(failure(await updater.refresh(), 'billing')).toBe('revoker-exceeds');
  });

  test('that was forgotten by its delegator denies at once, and still binds after a restart', async () => {
    service.put(service.realm.takeBack('billing', 'db', 1));
    await updater.refresh();
    await updater.persist();
    const { raw } = service.realm.role('targets');
    const delegations = object(raw['delegations'], 'delegations');
    const roles = (delegations['roles'] as readonly JsonObject[]).filter(
      ({ name }) => name !== 'billing-revoker',
    );
    service.put(service.realm.draft('targets', { delegations: { ...delegations, roles } }));
    for (const state of [await updater.refresh(), await restart()]) {
      expect(failure(state, 'billing')).toBe('role-vanished');
      expect([...state.denied]).toEqual([BILLING]);
      expect(state.alarms.map(({ code }) => code)).toEqual(['role-vanished']);
      expect(state.secrets.has(BILLING)).toBe(false);
    }
  });
});

test('what was taken back stays so, although every role was forgotten and came again without it', async () => {
  service.put(service.realm.takeBack('billing', 'db', 1));
  await updater.refresh();
  await updater.persist();
  // As after a recovery, in which root forgets what the online keys signed: nothing below it is held any more.
  const store = new TrustStore(join(scratch, String(stores)), updater.realm);
  const { set, memory } = await store.load();
  await store.save({ ...set!, targets: new Map() }, memory, new Set());
  service.put(service.realm.draft('billing-revoker', { withdrawals: {} }));
  updater = await open();
  const state = await updater.refresh();
  expect(failure(state, 'billing')).toBeUndefined();
  expect(db(state)?.newest).toBeUndefined();
});

describe('the fleet', () => {
  test('is read with its hosts', async () => {
    const { host, publish } = await service.realm.join('web-1');
    service.put(publish);
    const state = await updater.refresh();
    expect(state.hosts.get(host.name)?.kid).toBe(host.kid);
  });

  test('that goes back an epoch fails; nothing else does, and the last good one is what is known', async () => {
    const before = service.realm.role('fleet').raw;
    service.put(await service.realm.epoch());
    await updater.refresh();
    service.put(service.realm.draft('fleet', { pools: before['pools'] ?? {} }));
    for (const state of [await updater.refresh(), await restart()]) {
      expect(failure(state, 'fleet')).toBe('epoch-rollback');
      expect([...state.fleet!.pools.values()].map(({ epoch }) => epoch)).toEqual([2]);
      expect(db(state)?.newest?.version).toBe(1);
    }
  });

  test('that lists a file fails', async () => {
    service.put(service.realm.draft('fleet', { targets: service.realm.targets('billing') }));
    expect(failure(await updater.refresh(), 'fleet')).toBe('fleet-malformed');
  });

  test('hosts that do not verify fail alone', async () => {
    await service.realm.join('web-1');
    service.put(service.realm.draft('fleet-hosts', {}, { signer: makeSigner() }));
    const state = await updater.refresh();
    expect([...state.failures.keys()]).toEqual(['fleet-hosts']);
  });
});

test('a namespace that vanished denies at once, and is an alarm', async () => {
  const { raw } = service.realm.role('targets');
  const delegations = object(raw['delegations'], 'delegations');
  const roles = (delegations['roles'] as readonly JsonObject[]).filter(
    ({ name }) => !(name as string).startsWith('billing'),
  );
  service.put(service.realm.draft('targets', { delegations: { ...delegations, roles } }));
  const state = await updater.refresh();
  expect([...state.denied]).toEqual([BILLING]);
  expect(state.secrets.has(BILLING)).toBe(false);
  expect(state.alarms.map(({ code }) => code)).toEqual(['role-vanished']);
});

test('a service that goes back to before a revocation is refused after a restart', async () => {
  const old = new Map(service.files);
  service.put(service.realm.takeBack('billing', 'db', 1));
  await updater.refresh();
  await updater.persist();
  service.files = old;
  updater = await open();
  await expect(updater.refresh()).rejects.toMatchObject({ code: 'version-rollback' });
});
