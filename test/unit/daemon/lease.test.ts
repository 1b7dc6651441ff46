// The lease: begins lapsed, moves forward only, and both threads see one end.
import { expect, test } from 'vitest';
import { Lease } from '../../../daemon/lease.ts';

test('it begins lapsed, whatever the clock says', () => {
  for (const now of [0, 1, 1e12]) expect(new Lease(() => now).holds()).toBe(false);
  expect(new Lease(() => 1).end).toBe(0);
});

test('it holds up to its end and not at it', () => {
  let now = 1000;
  const lease = new Lease(() => now);
  lease.renew(2000.9);
  expect(lease.end).toBe(2000);
  now = 1999;
  expect(lease.holds()).toBe(true);
  now = 2000;
  expect(lease.holds()).toBe(false);
});

test('it never moves back', () => {
  const lease = new Lease(() => 0);
  lease.renew(2000);
  for (const end of [1999, 2000, 0, -1, NaN]) lease.renew(end);
  expect(lease.end).toBe(2000);
  lease.renew(2001);
  expect(lease.end).toBe(2001);
});

test('the other thread’s view follows', () => {
  const lease = new Lease(() => 0);
  const other = new Lease(() => 1000, lease.shared);
  lease.renew(2000);
  expect([other.end, other.holds()]).toEqual([2000, true]);
  lease.lapse();
  expect([lease.end, other.end, other.holds()]).toEqual([0, 0, false]);
});
