// The page that a probe writes: what is taken from it, and that nothing is taken from one that makes no sense.
import {
  closeSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Page } from '../../../daemon/drill/page.ts';
import { wayRecords } from '../../../daemon/drill/way-record.ts';

const HELD = 256 + 576;
const scratch = mkdtempSync(join(tmpdir(), 'lapse-page-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const failed = expect.objectContaining({ code: 'probe-failed' }) as Error;

let path: string;
let page: Page;

beforeEach(() => {
  path = join(mkdtempSync(join(scratch, 'run-')), 'page');
  page = Page.create(path, 5n);
  return () => page[Symbol.dispose]();
});

function poke(at: number, ...values: readonly (bigint | number)[]): void {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [index, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), index * 8);
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

describe('what a probe wrote', () => {
  /** Slot 1, of trial 7. */
  function pokeHeld(
    current: readonly (bigint | number)[],
    previous: readonly (bigint | number)[] = [],
  ): void {
    poke(HELD + 320, 7, 1000, 2, 3, 9000, 13, ...current);
    poke(HELD + 320 + 120, ...previous);
    poke(HELD, 1);
  }

  test('is the slot that the count names', () => {
    expect(page.read().held).toMatchObject({ trial: 0, attemptsAfter: 0, isRefused: false });
    expect(page.read().held).not.toHaveProperty('current');
    pokeHeld([0xabn, 10, 8, 1001, 2001, 3001, 4001, 5001, 6001]);
    expect(page.read().held).toEqual({
      trial: 7,
      effect: 1000n,
      late: 2,
      attemptsAfter: 3,
      isRefused: true,
      lastRefused: 9000n,
      errno: 13,
      current: {
        hash: 0xabn,
        attempts: 10,
        reads: 8,
        firstRead: { start: 1001n, end: 2001n },
        lastRead: { start: 3001n, end: 4001n },
        refused: { start: 5001n, end: 6001n },
      },
    });
    poke(HELD, 2);
    expect(page.read().held, 'the other slot').toMatchObject({ trial: 0 });
  });

  test('becomes the record of a version: the one that is read, the one before it, and one that never was', () => {
    pokeHeld(
      [0xcdn, 5, 4, 41_000, 42_999, 43_000, 44_000],
      [0xabn, 10, 8, 1000, 2000, 3000, 4999, 5000, 6000],
    );
    const seen = page.read();
    expect(wayRecords(seen, 0xabn).held).toEqual({
      attempts: 10,
      reads: 8,
      late: 2,
      attemptsAfter: 3,
      lastRead: 4,
      firstDenied: 5,
      firstNew: 42,
      errno: 13,
    });
    const current = { attempts: 5, reads: 4, late: 2, attemptsAfter: 3, lastRead: 44, errno: 13 };
    expect(wayRecords(seen, 0xcdn).held).toEqual(current);
    expect(wayRecords(seen, 0xcdn).mapped).toEqual({
      attempts: 0,
      reads: 0,
      late: 0,
      attemptsAfter: 0,
      errno: 0,
    });
  });

  test('is refused when nobody can have counted that far', () => {
    for (const at of [16, 24, 40, 48 + 8, 48 + 24]) {
      pokeHeld([0xabn, 10, 8, 1001, 2001, 3001, 4001]);
      expect(page.read().held.late).toBe(2);
      poke(HELD + 320 + at, 2n ** 64n - 1n);
      expect(() => page.read(), String(at)).toThrow(failed);
    }
  });

  test('is refused when somebody cut it short', () => {
    truncateSync(path, 100);
    expect(() => page.read()).toThrow(failed);
  });
});

describe('a page is taken up again', () => {
  test('when it is one', () => {
    expect(page.pulse()).toBeUndefined();
    poke(16, 42, 5, 6);
    using again = Page.open(path);
    expect(again.pulse()).toEqual({ rounds: 5n, told: 6n });
    page.arm(3, 0xabn);
    page.effect(77n);
    expect(again.orders()).toEqual({ trial: 3, effect: 77n });
    page.arm(4, 0xabn);
    expect(again.orders()).toEqual({ trial: 4, effect: 0n });
  });

  test.each([
    ['of garbage', () => writeFileSync(path, Buffer.alloc(4096, 0x5a))],
    ['of another release', () => poke(8, 2)],
    ['of another size', () => truncateSync(path, 8192)],
    ['that is empty', () => truncateSync(path, 0)],
    ['that is not there', () => rmSync(path)],
    [
      'that is somewhere else',
      () => {
        renameSync(path, `${path}.other`);
        symlinkSync(`${path}.other`, path);
      },
    ],
  ])('not one %s', (_, spoil) => {
    spoil();
    expect(() => Page.open(path)).toThrow(failed);
  });
});
