// What one person's key may take back, it may take back only: a revoker that gives, or that goes back on its word, fails its
// namespace, and what was taken back stays so, whoever else would bring it back.
import { beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { object } from '../../../manifest/shape.ts';
import { BILLING, DB, Stage, readable } from './stage.ts';

const REVOKER = 'billing-revoker';
const DB_1 = /^billing\/db@1 /;

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.set();
});

const put = (role: string, change: JsonObject): unknown => stage.service.put(stage.realm.draft(role, change));
const floor = (revokedThrough: number, grants: JsonObject = {}): JsonObject => ({
  withdrawals: { db: { revokedThrough, revoked: [], grants } },
});

describe('a revoker that publishes a value', () => {
  const exceeds = (change: JsonObject, code = 'revoker-exceeds'): Promise<void> =>
    stage.failsAlone(
      'billing',
      code,
      () => put(REVOKER, { ...floor(0), ...change }),
      () => put(REVOKER, floor(0)),
    );

  test('as a target of its namespace', () => exceeds({ targets: stage.realm.targets('billing') }));

  test('as a target of its own path', () => {
    const [entry] = Object.values(stage.realm.targets('billing'));
    return exceeds({ targets: { 'billing-revoker/db@1': entry! } });
  });

  test('by delegating the namespace to itself', () =>
    exceeds({ delegations: stage.realm.role('targets').raw['delegations']! }));

  test('by granting', () => exceeds(floor(0, { web: { file: 'db' } }), 'metadata-malformed'));

  test('in its namespace’s place', () =>
    stage.failsAlone('billing', 'signature-threshold', () => {
      const signer = stage.realm.signer(REVOKER);
      stage.service.put(stage.realm.draft('billing', {}, { signer }));
    }));

  test('under another namespace’s name: it takes nothing back there', async () => {
    const before = readable(stage.updater.state);
    put(REVOKER, { withdrawals: { 'payments/db': { revokedThrough: 1, revoked: [], grants: {} } } });
    const state = await stage.updater.refresh();
    expect(state.failures.get('billing')?.code).toBe('name-invalid');
    expect(readable(state)).toEqual(before.filter((path) => path.startsWith('payments/')));
  });
});

describe('a floor that sinks', () => {
  const sinks = (attack: () => unknown, mend: () => unknown, code = 'floor-sank'): Promise<void> =>
    stage.failsAlone('billing', code, attack, mend);

  describe('the revoker’s', () => {
    beforeEach(async () => {
      stage.service.put(stage.realm.takeBack('billing', 'db', 1));
      stage.service.put(stage.realm.takeGrantBack('billing', 'admin', 'web', 1));
      await stage.updater.refresh();
      await stage.updater.persist();
    });

    const said = (): JsonObject => object(stage.realm.role(REVOKER).raw['withdrawals'], 'withdrawals');
    const mend = (): unknown => put(REVOKER, { withdrawals: said() });

    test('lower', () =>
      sinks(
        () => put(REVOKER, { withdrawals: { ...said(), ...(floor(0)['withdrawals'] as JsonObject) } }),
        mend,
      ));

    test('a secret that it no longer names', () =>
      sinks(() => put(REVOKER, { withdrawals: { admin: said()['admin']! } }), mend));

    test('a workload that it no longer names', () =>
      sinks(
        () =>
          put(REVOKER, { withdrawals: { ...said(), admin: { revokedThrough: 0, revoked: [], grants: {} } } }),
        mend,
      ));

    test('its namespace lists as live what was taken back: the floor holds, and it is an alarm', async () => {
      const live = stage.realm.targets('billing');
      put('billing', { targets: live });
      for (const updater of [stage.updater, await stage.open()]) {
        const state = await updater.refresh();
        expect(state.secrets.get(BILLING)?.get(DB)?.newest).toBeUndefined();
        expect(readable(state).filter((path) => DB_1.test(path))).toEqual([]);
      }
      expect(stage.updater.state.alarms.map(({ code }) => code)).toEqual(['floor-behind']);
    });

    test('targets that no longer delegate to it: the namespace is denied at once', async () => {
      const { raw } = stage.realm.role('targets');
      const delegations = object(raw['delegations'], 'delegations');
      const roles = (delegations['roles'] as readonly JsonObject[]).filter(({ name }) => name !== REVOKER);
      put('targets', { delegations: { ...delegations, roles } });
      for (const updater of [stage.updater, await stage.open()]) {
        const state = await updater.refresh();
        expect([...state.denied]).toEqual([BILLING]);
        expect(state.secrets.has(BILLING)).toBe(false);
      }
    });
  });

  test('the namespace’s own, lower', async () => {
    const live = stage.realm.targets('billing');
    stage.service.put(stage.realm.revoke('billing', 'db', 1));
    await stage.updater.refresh();
    await stage.updater.persist();
    await sinks(
      () => put('billing', { targets: live }),
      () => undefined,
    );
  });

  test('the namespace’s own, by a secret that it no longer lists', async () => {
    stage.service.put(stage.realm.revoke('billing', 'db', 1));
    await stage.updater.refresh();
    await stage.updater.persist();
    const { 'billing/db@1': _gone, ...targets } = stage.realm.targets('billing');
    await sinks(
      () => put('billing', { targets }),
      () => undefined,
      'secret-vanished',
    );
  });

  test('other bytes behind a version that was published', async () => {
    const targets = stage.realm.targets('billing');
    const entry = object(targets['billing/db@1'], 'db');
    const other = { ...entry, hashes: { sha256: '00'.repeat(32) } };
    await sinks(
      () => put('billing', { targets: { ...targets, 'billing/db@1': other } }),
      () => undefined,
      'version-reused',
    );
  });
});
