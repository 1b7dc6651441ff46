// The daily cap: it outlives restarts, counts an order once, and is reached when nobody knows.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { DailyCap } from '../../../daemon/drill/daily-cap.ts';
import { ManualClock } from '../client/manual-clock.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-cap-'));
afterAll(() => rmSync(directory, { recursive: true }));
const DAY = 24 * 3_600_000;

let state: string;
let file: string;
let made = 0;
let clock: ManualClock;
let lines: string[];

beforeEach(() => {
  state = join(directory, String(++made));
  mkdirSync(state);
  file = join(state, 'drills.json');
  // One minute before midnight, UTC.
  clock = new ManualClock(Date.UTC(2026, 0, 31, 23, 59));
  lines = [];
});

const open = (most = 10): Promise<DailyCap> => {
  const log = (line: string): void => void lines.push(line);
  return DailyCap.open(state, most, clock, { info: log, warn: log, error: log });
};

test('so many trials a day, and no order that exceeds them', async () => {
  const cap = await open();
  expect([await cap.take('a', 6), await cap.take('b', 5), cap.today]).toEqual([true, false, 6]);
  expect([await cap.take('c', 4), await cap.take('d', 1), cap.today]).toEqual([true, false, 10]);
});

test('an order is counted once, also by the next server', async () => {
  await (await open()).take('a', 6);
  const next = await open();
  expect([await next.take('a', 6), next.today]).toEqual([true, 6]);
  expect(await next.take('b', 5)).toBe(false);
});

test('a new day begins at midnight, UTC; a wall clock that is set back begins none', async () => {
  const cap = await open();
  await cap.take('a', 10);
  clock.advance(59_999);
  expect(await cap.take('b', 1)).toBe(false);
  clock.advance(1);
  expect([cap.today, await cap.take('b', 9), cap.today]).toEqual([0, true, 9]);
  clock.wall -= DAY;
  expect([cap.today, await cap.take('c', 2), (await open()).today]).toEqual([9, false, 9]);
});

test.for([['no JSON'], ['{}'], ['{"day":"today","trials":0,"order":""}'], ['x'.repeat(2000)]])(
  'a file that is damaged (%s): reached, and left as it is',
  async ([text = '']) => {
    writeFileSync(file, text);
    const cap = await open();
    expect([cap.today, await cap.take('a', 1), readFileSync(file, 'utf8')]).toEqual([10, false, text]);
    expect(lines[0]).toMatch(/drills.json cannot be read, so the cap counts as reached/);
  },
);

test('what cannot be written is not begun', async () => {
  const cap = await open();
  rmSync(state, { recursive: true });
  expect([await cap.take('a', 1), cap.today]).toEqual([false, 0]);
  mkdirSync(state);
  expect(await cap.take('a', 1)).toBe(true);
});
