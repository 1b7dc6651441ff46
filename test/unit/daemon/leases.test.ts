// The leases: each begins lapsed, moves forward only, and both threads see one end.
import { expect, test } from 'vitest';
import { Leases } from '../../../daemon/leases.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import { parseNamespace } from '../../../manifest/names.ts';

const [PAYMENTS, BILLING] = ['payments', 'billing'].map(parseNamespace) as [never, never];

test('they begin lapsed, whatever the clock says', () => {
  for (const now of [0, 1, 1e12]) {
    const leases = new Leases(() => now);
    const lease = leases.place(PAYMENTS);
    expect([leases.holds(), leases.holds(lease), leases.end(lease)]).toEqual([false, false, 0]);
    for (const whenStale of ['deny', 'serve'] as const)
      expect(leases.admits({ lease, whenStale })).toBe(false);
  }
});

test('one holds up to its end and not at it, counted from the sending', () => {
  let now = 1000;
  const leases = new Leases(() => now);
  leases.renew(1000.9, 1000);
  expect(leases.end()).toBe(2000);
  now = 1999;
  expect(leases.holds()).toBe(true);
  now = 2000;
  expect(leases.holds()).toBe(false);
});

test('each namespace has its own, for ever in the same place', () => {
  const leases = new Leases(() => 0);
  const [payments, billing] = [leases.place(PAYMENTS), leases.place(BILLING)];
  leases.renew(0, 1000, payments);
  expect([leases.holds(payments), leases.holds(billing), leases.holds()]).toEqual([true, false, false]);
  expect([leases.place(PAYMENTS), leases.place(BILLING)]).toEqual([payments, billing]);
});

test('an end never moves back, unless the lease itself became shorter', () => {
  const leases = new Leases(() => 0);
  leases.renew(1000, 1000);
  for (const sentAt of [999, 1000, 0, -1, NaN]) leases.renew(sentAt, 1000);
  expect(leases.end()).toBe(2000);
  leases.renew(1001, 1000);
  expect(leases.end()).toBe(2001);
  leases.renew(1100, 100);
  expect(leases.end()).toBe(1200);
  leases.renew(1100, 200);
  expect(leases.end()).toBe(1300);
});

test('what is served when stale needs one that was held since the start, and not ended at once', () => {
  let now = 0;
  const leases = new Leases(() => now);
  const lease = leases.place(PAYMENTS);
  const admits = () => (['deny', 'serve'] as const).map((whenStale) => leases.admits({ lease, whenStale }));
  leases.renew(0, 1000, lease);
  expect(admits()).toEqual([true, true]);
  now = 5000;
  expect(admits()).toEqual([false, true]);
  leases.lapse([lease]);
  expect(admits()).toEqual([false, false]);
});

test('the other thread’s view follows', () => {
  const leases = new Leases(() => 0);
  const other = new Leases(() => 1000, leases.shared);
  const place = leases.place(PAYMENTS);
  leases.renew(1000, 1000, place);
  leases.renew(1000, 1000);
  expect([other.end(place), other.holds(place), other.holds()]).toEqual([2000, true, true]);
  leases.lapse([place]);
  expect([other.holds(place), other.holds()]).toEqual([false, true]);
  leases.lapse();
  expect([leases.end(), other.end(), other.holds()]).toEqual([0, 0, false]);
});

test('one that was ended at once begins again with the next answer', () => {
  const leases = new Leases(() => 0);
  leases.renew(0, 1000);
  leases.lapse();
  leases.renew(10, 500);
  expect(leases.end()).toBe(510);
});

test('there is a bound, and no two share a place', () => {
  const leases = new Leases(() => 0);
  const name = (i: number) => parseNamespace(`n${i}`);
  const places = Array.from({ length: 2 * LIMITS.namespaces }, (_, i) => leases.place(name(i)));
  expect(new Set(places).size).toBe(places.length);
  expect(() => leases.place(PAYMENTS)).toThrow(expect.objectContaining({ code: 'leases-full' }) as Error);
  expect(leases.place(name(0))).toBe(places[0]);
});
