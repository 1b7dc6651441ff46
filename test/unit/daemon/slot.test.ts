// The table of slots in shared memory: fields of their own, states that change in one step.
import { expect, test } from 'vitest';
import { SlotState, SlotTable } from '../../../daemon/vault/slot.ts';
import type { SlotField } from '../../../daemon/vault/slot.ts';

test('begins empty, with as many slots as asked, for whoever shares it', () => {
  const table = SlotTable.create(3);
  const other = new SlotTable(table.shared);
  expect([table.count, other.count]).toEqual([3, 3]);
  expect([0, 1, 2].map((slot) => table.state(slot))).toEqual([0, 0, 0]);
  table.set(1, 'opens', 5);
  expect(other.get(1, 'opens')).toBe(5);
});

test('no field of no slot is another’s', () => {
  const fields: SlotField[] = [
    'state',
    'opens',
    'used',
    'generation',
    'keyOffset',
    'contextOffset',
    'contextLength',
  ];
  const more: SlotField[] = ['envelopeOffset', 'envelopeLength', 'plainOffset', 'plainLength', 'valueLength'];
  const table = SlotTable.create(3);
  const all = [0, 1, 2].flatMap((slot) => [...fields, ...more].map((field) => ({ slot, field })));
  all.forEach(({ slot, field }, i) => table.set(slot, field, i + 1));
  expect(all.map(({ slot, field }) => table.get(slot, field))).toEqual(all.map((_, i) => i + 1));
});

test('counts up and down', () => {
  const table = SlotTable.create(1);
  table.add(0, 'opens', 1);
  table.add(0, 'opens', 1);
  table.add(0, 'opens', -1);
  expect(table.get(0, 'opens')).toBe(1);
});

test('a move happens from the state that is meant, and only then', () => {
  const table = SlotTable.create(1);
  table.force(0, SlotState.sealed);
  expect(table.move(0, SlotState.open, SlotState.zeroing)).toBe(false);
  expect(table.state(0)).toBe(SlotState.sealed);
  expect(table.move(0, SlotState.sealed, SlotState.opening)).toBe(true);
  table.force(0, SlotState.revoked);
  expect(table.move(0, SlotState.opening, SlotState.open)).toBe(false);
  expect(table.state(0)).toBe(SlotState.revoked);
});

test('waiting is over at once when the state is another, and in time when nothing changes it', () => {
  const table = SlotTable.create(1);
  const begun = performance.now();
  table.wait(0, SlotState.zeroing, 10_000);
  expect(performance.now() - begun).toBeLessThan(5000);
  table.force(0, SlotState.zeroing);
  table.wait(0, SlotState.zeroing, 1);
  expect(performance.now() - begun).toBeLessThan(5000);
});
