// The vault: bytes come out of it while they may, and when they may not they are gone from memory.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { VaultOpener, decrypt } from '../../../daemon/vault/opener.ts';
import { SlotState } from '../../../daemon/vault/slot.ts';
import { VaultParts, sealed } from './vault-parts.ts';
import type { Sealed } from './vault-parts.ts';

const LINGER = 10_000;
const code = (name: string): Error => expect.objectContaining({ code: name }) as Error;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  // What lru-cache goes by; it holds the real object, so its method is replaced.
  vi.spyOn(performance, 'now').mockImplementation(() => Date.now());
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe('reading', () => {
  test('what was sealed comes out, from any offset', () => {
    const parts = new VaultParts();
    const version = sealed();
    const { slot, size } = parts.load(version);
    const generation = parts.open(slot);
    expect(size).toBe(300);
    expect(parts.read(slot, generation)).toEqual(version.value);
    expect(parts.read(slot, generation, 299)).toEqual(version.value.subarray(299));
    for (const offset of [300, 301, 2 ** 40]) expect(parts.read(slot, generation, offset)).toHaveLength(0);
  });

  test('never more than was asked for, and never the padding', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2000 }), fc.nat(2100), fc.nat(2100), (length, offset, room) => {
        const parts = new VaultParts();
        const version = sealed(randomBytes(length));
        const { slot } = parts.load(version);
        const into = Buffer.alloc(room);
        const count = parts.opener.copy(slot, 0, offset, into);
        expect(into.subarray(0, count)).toEqual(version.value.subarray(offset, offset + room));
      }),
      { numRuns: 100 },
    );
  });

  test('loading alone leaves no plaintext; opening does, in the arena and nowhere it was given to', () => {
    const parts = new VaultParts();
    const version = sealed();
    const { slot } = parts.load(version);
    expect([parts.holds(version.value), parts.vault.open]).toEqual([false, 0]);
    expect(parts.holds(version.dataKey)).toBe(true);
    parts.open(slot);
    expect([parts.holds(version.value), parts.vault.open]).toEqual([true, 1]);
  });
});

describe('revoked while open', () => {
  let parts: VaultParts;
  let version: Sealed;
  let slot: number;
  let generation: number;

  beforeEach(() => {
    parts = new VaultParts();
    version = sealed();
    slot = parts.load(version).slot;
    generation = parts.open(slot);
    expect(parts.holds(version.value) && parts.holds(version.dataKey)).toBe(true);
    parts.vault.revoke(slot);
  });

  test('nothing comes out, and nothing opens it again', () => {
    expect(parts.read(slot, generation)).toBeUndefined();
    expect(parts.opener.acquire(slot, 0)).toBe(false);
    expect(parts.slots.get(slot, 'opens')).toBe(1);
  });

  test('key and plaintext are nowhere in the arena', () => {
    for (const piece of [
      version.value,
      version.value.subarray(100, 108),
      version.dataKey,
      version.dataKey.subarray(0, 8),
    ]) {
      expect(parts.holds(piece)).toBe(false);
    }
  });

  test('the time that plaintext may linger does not bring it back', () => {
    vi.advanceTimersByTime(10 * LINGER);
    expect(parts.slots.state(slot)).toBe(SlotState.revoked);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('once reclaimed, nothing at all is left, and a handle of before reads nothing of the next', () => {
    parts.vault.reclaim(slot);
    expect(parts.filled).toBe(0);
    const next = parts.load(sealed(Buffer.from('next'), 2));
    expect(next.slot).toBe(slot);
    expect(parts.read(slot, generation)).toBeUndefined();
    const current = parts.open(slot);
    parts.opener.release(slot, generation);
    expect(parts.slots.get(slot, 'opens')).toBe(1);
    expect(parts.read(slot, current)?.toString()).toBe('next');
  });
});

describe('plaintext lingers', () => {
  test('after the last close for as long as it may, and then is gone', async () => {
    const parts = new VaultParts({ lingerMs: LINGER });
    const version = sealed();
    const { slot } = parts.load(version);
    const generation = parts.open(slot);
    parts.opener.release(slot, generation);
    await vi.advanceTimersByTimeAsync(LINGER - 10);
    expect(parts.holds(version.value)).toBe(true);
    await vi.advanceTimersByTimeAsync(20);
    expect(parts.holds(version.value)).toBe(false);
    expect(parts.vault.open).toBe(0);
    expect(parts.read(slot, generation)).toEqual(version.value);
  });

  test('as long as one handle is open', async () => {
    const parts = new VaultParts({ lingerMs: LINGER });
    const version = sealed();
    const { slot } = parts.load(version);
    const [first, second] = [parts.open(slot), parts.open(slot)];
    parts.opener.release(slot, first);
    await vi.advanceTimersByTimeAsync(5 * LINGER + 5);
    expect(parts.holds(version.value)).toBe(true);
    parts.opener.release(slot, second);
    await vi.advanceTimersByTimeAsync(2 * LINGER);
    expect(parts.holds(version.value)).toBe(false);
  });

  test('one more turn when it was opened meanwhile', async () => {
    const parts = new VaultParts({ lingerMs: LINGER });
    const version = sealed();
    const { slot } = parts.load(version);
    parts.opener.release(slot, parts.open(slot));
    await vi.advanceTimersByTimeAsync(LINGER - 10);
    parts.opener.release(slot, parts.open(slot));
    await vi.advanceTimersByTimeAsync(20);
    expect(parts.holds(version.value)).toBe(true);
    await vi.advanceTimersByTimeAsync(LINGER);
    expect(parts.holds(version.value)).toBe(false);
  });

  test('for no time at all, when it is told so', async () => {
    const parts = new VaultParts({ lingerMs: 0 });
    const version = sealed();
    const { slot } = parts.load(version);
    parts.opener.release(slot, parts.open(slot));
    await vi.advanceTimersByTimeAsync(10);
    expect(parts.holds(version.value)).toBe(false);
  });

  test('and nothing of it runs any more once it was revoked', async () => {
    const parts = new VaultParts({ lingerMs: LINGER });
    const slots = [parts.load(sealed()).slot, parts.load(sealed()).slot];
    for (const slot of slots) parts.open(slot);
    await vi.advanceTimersByTimeAsync(2 * LINGER + 5);
    expect(vi.getTimerCount(), 'control').toBe(2);
    parts.vault[Symbol.dispose]();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('refused, with nothing left behind', () => {
  const good = sealed();

  test.for<[string, Partial<Sealed>]>([
    ['another key', { dataKey: randomBytes(32) }],
    ['a byte of the ciphertext', { envelope: good.envelope.with(50, good.envelope[50]! ^ 1) }],
    ['a byte of the tag', { envelope: good.envelope.with(-1, good.envelope.at(-1)! ^ 1) }],
    ['a byte of the nonce', { envelope: good.envelope.with(0, good.envelope[0]! ^ 1) }],
    ['another version', { context: { ...good.context, version: 2 } }],
  ])('%s', ([, change]) => {
    const parts = new VaultParts({ slots: 1 });
    expect(() => parts.load({ ...good, ...change })).toThrow(code('envelope-refused'));
    expect(parts.filled).toBe(0);
    expect(parts.load(good).size).toBe(300);
  });

  test('an impossible size', () => {
    const parts = new VaultParts({ slots: 1 });
    expect(() => parts.load({ ...good, envelope: good.envelope.slice(0, 100) })).toThrow(
      code('envelope-malformed'),
    );
    expect(parts.filled).toBe(0);
    expect(parts.load(good).size).toBe(300);
  });

  test('no slot, or no room: what is there stays readable', () => {
    const parts = new VaultParts({ slots: 1, bytes: 4096 });
    const { slot } = parts.load(good);
    expect(() => parts.load(sealed())).toThrow(code('slots-full'));
    const narrow = new VaultParts({ slots: 2, bytes: 1024 });
    narrow.load(good);
    expect(() => narrow.load(sealed())).toThrow(code('arena-full'));
    expect(parts.read(slot, parts.open(slot))).toEqual(good.value);
  });
});

test('a key that no longer opens is a fault, which leaves no plaintext and no open behind', () => {
  const parts = new VaultParts();
  const version = sealed();
  const { slot } = parts.load(version);
  const at = Buffer.from(parts.memory).indexOf(version.dataKey);
  new Uint8Array(parts.memory)[at]! ^= 1;
  expect(() => parts.opener.acquire(slot, 0)).toThrow('could not verify data');
  expect(parts.holds(version.value)).toBe(false);
  expect(parts.slots.get(slot, 'opens')).toBe(0);
  expect(parts.slots.state(slot)).toBe(SlotState.sealed);
});

describe('revoked by the other thread in the middle of an open', () => {
  test.for([
    ['before the first byte is decrypted', 'revoke first'],
    ['with the key in hand', 'key first'],
    ['after the last one', 'decrypt first'],
  ])('%s: refused, no fault, no plaintext', ([, order]) => {
    const parts = new VaultParts();
    const version = sealed();
    const { slot } = parts.load(version);
    const opener = new VaultOpener(
      parts.slots,
      parts.memory,
      () => expect.unreachable('a revoked slot was opened'),
      (of) => {
        const key = Buffer.from(of.key);
        if (order !== 'decrypt first') parts.vault.revoke(slot);
        decrypt(order === 'key first' ? { ...of, key } : of);
        if (order === 'decrypt first') parts.vault.revoke(slot);
      },
    );
    expect(opener.acquire(slot, 0)).toBe(false);
    expect(parts.slots.get(slot, 'opens')).toBe(0);
    expect(parts.slots.state(slot)).toBe(SlotState.revoked);
    expect(parts.holds(version.value) || parts.holds(version.dataKey)).toBe(false);
  });
});

test('disposed of, it has neither keys nor plaintext, and answers nobody', () => {
  const parts = new VaultParts();
  const versions = [sealed(), sealed(), sealed()];
  const slots = versions.map((version) => parts.load(version).slot);
  const generations = slots.map((slot) => parts.open(slot));
  parts.vault[Symbol.dispose]();
  versions.forEach(({ value, dataKey }) => expect(parts.holds(value) || parts.holds(dataKey)).toBe(false));
  slots.forEach((slot, i) => expect(parts.read(slot, generations[i]!)).toBeUndefined());
});
