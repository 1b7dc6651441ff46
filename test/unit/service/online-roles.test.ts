// What the service signs by itself, and when it signs anew. Pure: no store, no clock.
import { describe, expect, test } from 'vitest';
import { trustRoot } from '../../../manifest/tuf/trusted-set.ts';
import type { CompleteSet } from '../../../service/current.ts';
import { isTimestampFresh, nextState } from '../../../service/online-roles.ts';
import { TestRealm, makeSigner } from '../../support/realm.ts';

const NOW = Date.parse('2026-01-31T12:00:00Z');
const DAY = 24 * 3600_000;

async function begin(lease: number): Promise<{ keys: Parameters<typeof nextState>[1]; set: CompleteSet }> {
  const keys = { snapshot: makeSigner(), timestamp: makeSigner() };
  const online = { snapshot: keys.snapshot.publicHex, timestamp: keys.timestamp.publicHex };
  const { genesis } = await TestRealm.make(online, { now: NOW, lease });
  const files = genesis.roles.map(({ name, metadata }) => ({ name, version: 1, bytes: metadata }));
  return { keys, set: nextState(trustRoot(genesis.root), keys, files, lease, NOW) };
}

describe('timestamp', () => {
  test.each([
    [60, 300],
    [600, 600],
  ])('with a lease of %i s it expires after %i s', async (lease, lifetime) => {
    const { set } = await begin(lease);
    expect(set.timestamp.role).toMatchObject({ version: 1, lease, expires: NOW + lifetime * 1000 });
  });

  test('is signed anew at half its life, or when a clock that ran ahead signed it', async () => {
    const { set } = await begin(600);
    expect(isTimestampFresh(set, NOW + 300_000)).toBe(true);
    expect(isTimestampFresh(set, NOW + 300_001)).toBe(false);
    expect(isTimestampFresh(set, NOW - 1)).toBe(false);
  });
});

describe('snapshot', () => {
  test('stays when nothing changed and half its life remains', async () => {
    const { keys, set } = await begin(600);
    const next = nextState(set, keys, [], 600, NOW + 14 * DAY);
    expect(next.snapshot.bytes).toEqual(set.snapshot.bytes);
    expect(next.timestamp.role.version).toBe(2);
  });

  test('is renewed with the timestamp when less remains', async () => {
    const { keys, set } = await begin(600);
    const next = nextState(set, keys, [], 600, NOW + 16 * DAY);
    expect(next.snapshot.role).toMatchObject({ version: 2, expires: NOW + 46 * DAY });
    expect(next.snapshot.role.roles).toEqual(set.snapshot.role.roles);
  });
});

test('nothing is signed under an expired root', async () => {
  const { keys, set } = await begin(600);
  expect(() => nextState(set, keys, [], 600, NOW + 366 * DAY)).toThrow(
    expect.objectContaining({ code: 'metadata-expired' }),
  );
});
