// Drills on a real mount: a real probe reads the canary of a realm that the test signs, and what the host says of it is read at
// the real service. One machine for all, with a lease of three seconds.
import { describe, expect, it } from 'vitest';
import { HOST_MOMENTS, WAYS } from '../../manifest/realm/drill/statement.ts';
import { onOneMachine } from '../support/lapsed-anew.ts';
import { RealmMachine } from '../support/lapsed-realm.ts';
import { RealmDrill, expectNoneLate } from '../support/realm-drill.ts';

const LEASE_S = 3;
/** Seconds that a page may still be read after it: it is withdrawn a tenth of one later, unless the machine stands still. */
const SLACK_S = 2;

let machine: RealmMachine;
let drill: RealmDrill;

onOneMachine(async () => {
  machine = await RealmMachine.start({ lease: LEASE_S, namespaces: { payments: {}, drill: {} } });
  await machine.put('payments/db', 'of payments');
  await machine.startLapsed({ drill: 'crash', dead_after: '4s' }).catch((cause: unknown) => {
    throw new Error(machine.lapsed.log, { cause });
  });
  drill = new RealmDrill(machine);
  return machine;
});

describe('a revocation', () => {
  it('is denied, invalidated, zeroed and receipted in this order; no way reads the canary after it; then the next trial', async () => {
    const order = await drill.begin('revoke');
    for (let trial = 1; trial <= 2; trial++) {
      await drill.putCanary();
      const armed = await drill.said(order, 'armed');
      await drill.revoke();
      const observed = await drill.said(order, 'observed');
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
    await drill.end();
  });

  it('in the middle of which a new server takes over: it goes on with the same probe', async () => {
    const order = await drill.begin('revoke');
    await drill.putCanary();
    await drill.said(order, 'armed');
    const before = machine.lapsed.server;
    machine.lapsed.signal('SIGHUP');
    await machine.lapsed.serverAfter(before);
    await machine.statusOf('the next server', (status) => status.drill.id === order.id);
    await drill.revoke();
    expectNoneLate(await drill.said(order, 'observed'));
    expect((await machine.status()).workloads.filter(({ id }) => id === 'lapse-drill')).toHaveLength(1);
    await drill.end();
  });
});

it('a partition: the canary fails closed at the end of its lease, and is not heard to be revoked; all else goes on', async () => {
  const web = await machine.inWorkload('web');
  const order = await drill.begin('partition');
  await drill.putCanary();
  await drill.said(order, 'armed');
  await drill.revoke();
  await machine.put('payments/other', 'new meanwhile');
  await machine.effect('payments/other@1', 'shown');
  const { files } = await machine.status();
  expect(files.map((file) => file.version)).toContain(`drill/canary@${drill.version}`);
  const { moments, ways } = await drill.said(order, 'observed');
  const { cut = 0, leaseEnd = 0 } = moments;
  expect(moments).toEqual({ cut, leaseEnd });
  expect(leaseEnd - cut).toBeGreaterThan(0);
  expect(leaseEnd - cut).toBeLessThanOrEqual(LEASE_S * 1_000_000);
  for (const way of WAYS) {
    const { lastRead = 0, reads, attemptsAfter } = ways[way];
    expect(reads, way).toBeGreaterThan(0);
    expect(attemptsAfter, way).toBeGreaterThan(0);
    expect(lastRead - cut, way).toBeLessThanOrEqual((LEASE_S + SLACK_S) * 1_000_000);
  }
  // The lease of another namespace was renewed meanwhile.
  expect(await web.cat('self/db')).toBe('of payments');
  await machine.effect(`drill/canary@${drill.version}`, 'withdrawn');
  await machine.statusOf('the lease again', ({ leases }) => leases['drill']?.holds === true);
  await drill.end();
});

it.each([
  ['the server kills itself', 'server', 'kill'],
  ['its serving thread fails', 'thread', 'kill'],
  ['its serving thread hangs, and the holder ends it', 'thread', 'stop'],
] as const)('a crash: %s, the next one says what became of the canary', async (_, victim, means) => {
  const order = await drill.begin('crash', { victims: [victim], means: [means], withinMs: 50 });
  await drill.putCanary();
  const before = machine.lapsed.server;
  await drill.said(order, 'armed');
  await machine.lapsed.serverAfter(before);
  await drill.revoke();
  const observed = await drill.said(order, 'observed');
  expectNoneLate(observed);
  const { struck = 0, answered = 0, invalidated = 0 } = observed.moments;
  expect(answered).toBeGreaterThan(struck);
  expect(invalidated).toBeGreaterThan(struck);
  await drill.end();
});
