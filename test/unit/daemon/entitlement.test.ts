// What a host may serve: only as a member, only of its pools, and only what each namespace's policy allows.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { RealmState } from '../../../client/reading.ts';
import { TrustStore } from '../../../client/trust-store.ts';
import { Updater } from '../../../client/updater.ts';
import { entitlementOf, leaseLengths, wantsOf } from '../../../daemon/entitlement.ts';
import type { Entitlement, Self } from '../../../daemon/entitlement.ts';
import { parseNamespace, parsePoolName, parseSecretName } from '../../../manifest/names.ts';
import { recipientsOf } from '../../../manifest/realm/fleet.ts';
import { liveVersions } from '../../../manifest/realm/succession.ts';
import type { TestHost } from '../../support/realm.ts';
import { ManualClock } from '../client/manual-clock.ts';
import { MemoryService } from '../client/memory-service.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-entitlement-'));
afterAll(() => rmSync(directory, { recursive: true }));

let stores = 0;
let service: MemoryService;
let host: TestHost;
let state: () => Promise<RealmState>;

const [PAYMENTS, BILLING] = ['payments', 'billing'].map(parseNamespace) as [never, never];

beforeEach(async () => {
  const clock = new ManualClock();
  service = await MemoryService.start(clock);
  const joined = await service.realm.join('web-1');
  service.put(joined.publish);
  host = joined.host;
  const updater = await Updater.open({
    anchor: service.realm.genesis.root,
    storeFor: (realm) => new TrustStore(join(directory, String(++stores)), realm),
    transport: service,
    clock,
    wants: wantsOf(host),
  });
  state = () => updater.refresh();
});

const entitled = async (self: Self = host): Promise<Entitlement> => entitlementOf(await state(), self);

const versions = ({ secrets }: Entitlement, namespace = PAYMENTS): readonly string[] =>
  [...(secrets.get(namespace)?.values() ?? [])].flatMap(liveVersions).map(({ path }) => path);

test('a member is entitled to the namespaces of its pools', async () => {
  service.put(await service.realm.epoch('other'));
  service.put(service.realm.delegate('billing', { pools: ['other'] }));
  const { record, refusal, secrets, pools, exceeding } = await entitled();
  expect([record?.name, refusal, [...secrets.keys()], exceeding.length]).toEqual([
    'web-1',
    undefined,
    [PAYMENTS],
    0,
  ]);
  expect(pools).toEqual(new Map([[PAYMENTS, ['default']]]));
});

describe('nobody else is entitled to anything', () => {
  test.for<[string, () => Promise<Entitlement>, string]>([
    ['a stranger', () => entitled({ name: 'db-1' as never, kid: host.kid }), 'host-unlisted'],
    ['a host of that name with other keys', () => entitled({ name: host.name, kid: 'x' }), 'host-unlisted'],
    [
      'one that was removed',
      async () => {
        service.put(await service.realm.remove('web-1'));
        return entitled();
      },
      'host-removed',
    ],
    [
      'one that was removed, and is still listed',
      async () => {
        const listed = service.realm.role('fleet-hosts').raw['targets'] as never;
        service.put(await service.realm.remove('web-1'));
        service.put(service.realm.draft('fleet-hosts', { targets: listed }));
        return entitled();
      },
      'host-removed',
    ],
  ])('%s', async ([, ask, code]) => {
    const entitlement = await ask();
    expect(entitlement).toMatchObject({ refusal: { code }, secrets: new Map(), pools: new Map() });
    expect(entitlement.record).toBeUndefined();
    expect(leaseLengths(await state(), entitlement).size).toBe(0);
  });

  test('the name may be given to another machine', async () => {
    service.put(await service.realm.remove('web-1'));
    const again = await service.realm.join('web-1');
    service.put(again.publish);
    expect((await entitled(again.host)).record?.kid).toBe(again.host.kid);
    expect((await entitled()).refusal?.code).toBe('host-removed');
  });
});

describe('what exceeds the policy is ignored, and told', () => {
  const told = ({ exceeding, ignored }: Entitlement): unknown => [
    exceeding.map(({ code, message }) => `${message} [${code}]`),
    [...ignored.keys()],
  ];

  test('a version that is encrypted to pools that it does not allow', async () => {
    service.put(await service.realm.epoch('other'));
    const policy = (await state()).policies.get(PAYMENTS)!.policy;
    const others = recipientsOf(service.realm.fleet, { ...policy, pools: [parsePoolName('other')] });
    service.put(await service.realm.put('payments', 'db', { recipients: others }));
    const entitlement = await entitled();
    expect(versions(entitlement)).toEqual(['payments/db@1']);
    expect(told(entitlement)).toEqual([
      [expect.stringMatching(/^payments\/db@2 is encrypted to no pool .*policy-exceeded/)],
      [PAYMENTS],
    ]);
  });

  test('but one that is encrypted to one that it allows, too, is not', async () => {
    service.put(await service.realm.epoch('other'));
    const policy = (await state()).policies.get(PAYMENTS)!.policy;
    const both = [parsePoolName('other'), parsePoolName('default')];
    const recipients = recipientsOf(service.realm.fleet, { ...policy, pools: both });
    service.put(await service.realm.put('payments', 'db', { recipients }));
    const entitlement = await entitled();
    expect(versions(entitlement)).toEqual(['payments/db@2', 'payments/db@1']);
    expect(entitlement.exceeding).toEqual([]);
  });

  test('nor one of an older epoch', async () => {
    service.put(await service.realm.epoch());
    expect(versions(await entitled())).toEqual(['payments/db@1']);
  });

  test('the wish to be served when stale', async () => {
    service.put(await service.realm.put('payments', 'db', { whenStale: 'serve' }));
    service.put(service.realm.delegate('billing', { whenStale: 'serve' }));
    service.put(await service.realm.put('billing', 'db', { whenStale: 'serve' }));
    const entitlement = await entitled();
    const stale = [PAYMENTS, BILLING].map(
      (namespace) => entitlement.secrets.get(namespace)?.get(parseSecretName('db'))?.whenStale,
    );
    expect([stale, versions(entitlement)[0]]).toEqual([['deny', 'serve'], 'payments/db@2']);
    expect(told(entitlement)).toEqual([
      [expect.stringMatching(/^payments\/db asks to be served when stale.*policy-exceeded/)],
      [],
    ]);
  });
});

describe('the lease of a namespace', () => {
  test('is the realm’s, or a shorter one of its policy; a longer one changes nothing', async () => {
    service.put(service.realm.delegate('billing', { leaseSeconds: 5 }));
    service.put(service.realm.delegate('ops', { leaseSeconds: 3600 }));
    const now = await state();
    expect([...leaseLengths(now, entitlementOf(now, host))]).toEqual([
      ['payments', 60_000],
      ['billing', 5000],
      ['ops', 60_000],
    ]);
  });

  test('is not renewed while it fails, or fleet does; the others are', async () => {
    service.put(service.realm.delegate('billing'));
    service.put(await service.realm.put('payments', 'db'));
    service.files.delete('2.payments.json');
    const one = await state();
    expect([...leaseLengths(one, entitlementOf(one, host)).keys()]).toEqual(['billing']);
    expect(entitlementOf(one, host).failing).toEqual(new Set(['payments']));
    service.put(await service.realm.epoch());
    service.files.delete('2.fleet.json');
    const two = await state();
    expect(leaseLengths(two, entitlementOf(two, host)).size).toBe(0);
  });
});
