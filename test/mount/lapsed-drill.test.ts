// Drills on a real mount: a real probe reads the canary of a realm that the test signs, and what the host says of it is read at
// the real service. One machine for all, with a lease of three seconds.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseFileName, parseWorkload } from '../../manifest/names.ts';
import { parseStoredReceipts } from '../../manifest/realm/exchange.ts';
import { orderJson } from '../../manifest/realm/drill/order.ts';
import type { CrashOrder, DrillKind, DrillOrder } from '../../manifest/realm/drill/order.ts';
import { HOST_MOMENTS, WAYS, isStatement, verifyStatement } from '../../manifest/realm/drill/statement.ts';
import type { DrillStatement, Observed } from '../../manifest/realm/drill/statement.ts';
import { until } from '../support/lapsed.ts';
import { RealmMachine } from '../support/lapsed-realm.ts';

const LEASE_S = 3;
const SETTLE_MS = 60;

let machine: RealmMachine;
/** How many versions of the canary there were. */
let version = 0;

beforeAll(async () => {
  machine = await RealmMachine.start({ lease: LEASE_S, namespaces: { payments: {}, drill: {} } });
  await machine.put('payments/db', 'of payments');
  await machine.startLapsed({ drill: 'crash', dead_after: '60s' }).catch((cause: unknown) => {
    throw new Error(machine.lapsed.log, { cause });
  });
}, 60_000);

afterAll(() => machine[Symbol.asyncDispose]());

async function begin(kind: DrillKind, crash?: CrashOrder): Promise<DrillOrder> {
  const order: DrillOrder = {
    ...{ id: randomBytes(16).toString('hex'), kind, hosts: [machine.host.name] },
    ...{ workload: parseWorkload('lapse-probe'), trials: 2, settleMs: SETTLE_MS },
    until: Math.ceil(Date.now() / 1000) * 1000 + 60_000,
    ...(crash && { crash }),
  };
  await publishOrder(order);
  return order;
}

async function publishOrder(order: DrillOrder | undefined): Promise<void> {
  const { realm } = machine;
  const drill = order ? orderJson(order) : null;
  await machine.publish(realm.adopt(realm.draft('drill', { drill })));
}

async function putCanary(): Promise<number> {
  const grant = { file: parseFileName('canary'), uid: 0, gid: 0, mode: 0o400 };
  await machine.put('drill/canary', randomBytes(16).toString('hex'), {
    grants: [{ ...grant, workload: parseWorkload('lapse-probe') }],
  });
  version += 1;
  return version;
}

async function revoke(): Promise<void> {
  await machine.publish(machine.realm.revoke('drill', 'canary', version));
}

/** Everything that the host has said of an order. */
async function statements({ id }: DrillOrder): Promise<readonly DrillStatement[]> {
  const { receipts } = parseStoredReceipts(await machine.service.client.file('receipts?after=0'));
  const said = receipts.filter(({ jws }) => isStatement(jws));
  const host = machine.host as never;
  const verified = await Promise.all(said.map(({ jws }) => verifyStatement(jws, host, machine.realm.id)));
  return verified.filter(({ drill }) => drill === id);
}

function said(order: DrillOrder, kind: 'armed'): Promise<DrillStatement>;
function said(order: DrillOrder, kind: 'observed'): Promise<Observed>;
function said(order: DrillOrder, kind: DrillStatement['kind']): Promise<DrillStatement> {
  return until(`${kind} ${version}`, async () => {
    const all = await statements(order);
    const refused = all.find((each) => each.kind === 'refused');
    if (refused) throw new Error(`refused: ${refused.code}\n${machine.lapsed.log}`);
    return all.find((each) => each.kind !== 'refused' && each.kind === kind && each.version === version);
  }).catch((cause: unknown) => {
    throw new Error(machine.lapsed.log, { cause });
  });
}

async function end(): Promise<void> {
  await publishOrder(undefined);
  const { workloads } = await machine.statusOf('the end of the drill', ({ drill }) => drill.state === 'idle');
  expect(workloads.filter(({ workload }) => workload === 'lapse-probe')).toEqual([]);
}

/** The canary was read in every way, in none after its end, and that would have been noticed. */
function expectNoneLate({ ways }: Observed): void {
  for (const way of WAYS) {
    const { reads, late, attemptsAfter, lastRead, firstDenied } = ways[way];
    expect({ way, late, isRead: reads > 0 }).toEqual({ way, late: 0, isRead: true });
    expect(attemptsAfter, way).toBeGreaterThan(0);
    expect(firstDenied, way).toBeGreaterThanOrEqual(lastRead ?? Infinity);
  }
}

describe('a revocation', () => {
  it('is denied, invalidated, zeroed and receipted in this order; no way reads the canary after it; then the next trial', async () => {
    const order = await begin('revoke');
    for (let trial = 1; trial <= 2; trial++) {
      await putCanary();
      const armed = await said(order, 'armed');
      await revoke();
      const observed = await said(order, 'observed');
      expectNoneLate(observed);
      const { pushed, ...own } = observed.moments;
      const inOrder = HOST_MOMENTS.filter((name) => name in own).map((name) => own[name as keyof typeof own]);
      expect(Object.keys(own).sort()).toEqual(
        ['received', 'verified', 'denied', 'invalidated', 'zeroed', 'receiptSigned'].sort(),
      );
      expect(inOrder).toEqual(inOrder.toSorted((a, b) => Number(a) - Number(b)));
      // One kernel, so one clock.
      expect(observed.serviceBoot).toBe(armed.boot);
      expect(pushed).toBeLessThanOrEqual(own.received ?? 0);
    }
    await end();
  }, 20_000);

  it('in the middle of which a new server takes over: it goes on with the same probe', async () => {
    const order = await begin('revoke');
    await putCanary();
    await said(order, 'armed');
    const before = machine.lapsed.server;
    machine.lapsed.signal('SIGHUP');
    await machine.lapsed.serverAfter(before);
    await machine.statusOf('the next server', ({ drill }) => drill.id === order.id);
    await revoke();
    expectNoneLate(await said(order, 'observed'));
    expect((await machine.status()).workloads.filter(({ id }) => id === 'lapse-drill')).toHaveLength(1);
    await end();
  }, 20_000);
});

it('a partition: the canary fails closed at the end of its lease, and is not heard to be revoked; all else goes on', async () => {
  const web = await machine.inWorkload('web');
  const order = await begin('partition');
  await putCanary();
  await said(order, 'armed');
  await revoke();
  await machine.put('payments/other', 'new meanwhile');
  await machine.effect('payments/other@1', 'shown');
  const { files } = await machine.status();
  expect(files.map((file) => file.version)).toContain(`drill/canary@${version}`);
  const { moments, ways } = await said(order, 'observed');
  const { cut = 0, leaseEnd = 0 } = moments;
  expect(moments).toEqual({ cut, leaseEnd });
  expect(leaseEnd - cut).toBeGreaterThan(0);
  expect(leaseEnd - cut).toBeLessThanOrEqual(LEASE_S * 1_000_000);
  for (const way of WAYS) {
    const { lastRead = 0, reads, attemptsAfter } = ways[way];
    expect(reads, way).toBeGreaterThan(0);
    expect(attemptsAfter, way).toBeGreaterThan(0);
    expect(lastRead - cut, way).toBeLessThanOrEqual((LEASE_S + 0.5) * 1_000_000);
  }
  // The lease of another namespace was renewed meanwhile.
  expect(await web.cat('self/db')).toBe('of payments');
  await machine.effect(`drill/canary@${version}`, 'withdrawn');
  await machine.statusOf('the lease again', ({ leases }) => leases['drill']?.holds === true);
  await end();
}, 25_000);

it('a crash: the server kills itself, the next one says what became of the canary', async () => {
  const order = await begin('crash', { victims: ['server'], means: ['kill'], withinMs: 50 });
  await putCanary();
  const before = machine.lapsed.server;
  await said(order, 'armed');
  await machine.lapsed.serverAfter(before);
  await revoke();
  const observed = await said(order, 'observed');
  expectNoneLate(observed);
  const { struck = 0, answered = 0, invalidated = 0 } = observed.moments;
  expect(answered).toBeGreaterThan(struck);
  expect(invalidated).toBeGreaterThan(struck);
  await end();
}, 25_000);
