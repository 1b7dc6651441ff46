// What one server keeps of a drill, and the next one finds; and which strikes there are.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { KeptDrills } from '../../../daemon/drill/kept.ts';
import type { KeptDrill } from '../../../daemon/drill/kept.ts';
import { drawStrike } from '../../../daemon/drill/strike.ts';
import { StateFile } from '../../../daemon/runtime/state-file.ts';
import type { CrashOrder } from '../../../manifest/realm/drill/order.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-kept-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = join(directory, 'drill.json');

const unreadable = expect.objectContaining({ code: 'runtime-unreadable' }) as Error;

const drill: KeptDrill = {
  order: 'd1'.repeat(16),
  trials: 3,
  trial: {
    ...{ number: 3, version: 7, hash: 2n ** 64n - 1n, serviceBoot: 'b' },
    moments: { struck: 5, invalidated: 6 },
  },
};

describe('kept', () => {
  const kept = new KeptDrills(new StateFile(path, 'boot'));

  test('to the bit; nothing before anything was, and after it was over', () => {
    expect(kept.read()).toBeUndefined();
    kept.write(drill);
    expect(new KeptDrills(new StateFile(path, 'boot')).read()).toEqual(drill);
    const { order, trials } = drill;
    kept.write({ order, trials });
    expect(kept.read()).toEqual({ order, trials });
    kept.write(undefined);
    expect(kept.read()).toBeUndefined();
  });

  test('of another boot, or damaged: unreadable', () => {
    kept.write(drill);
    const other = new KeptDrills(new StateFile(path, 'another boot'));
    expect(() => other.read()).toThrow(unreadable);
    const text = JSON.stringify({ format: 1, boot: 'boot', drill: { order: 'd1', trials: 'many' } });
    writeFileSync(path, text);
    expect(() => kept.read()).toThrow(unreadable);
  });
});

describe('a strike', () => {
  const order: CrashOrder = {
    victims: ['server', 'thread', 'holder'],
    means: ['kill', 'stop'],
    withinMs: 1000,
  };

  test('hits what the order allows, never stops a holder, and comes within its time', () => {
    const drawn = [0, 0.2, 0.4, 0.6, 0.9].map((random) => drawStrike(order, () => random));
    expect(drawn).toEqual([
      { victim: 'server', means: 'kill', afterMs: 0 },
      { victim: 'server', means: 'stop', afterMs: 200 },
      { victim: 'thread', means: 'kill', afterMs: 400 },
      { victim: 'thread', means: 'stop', afterMs: 600 },
      { victim: 'holder', means: 'kill', afterMs: 900 },
    ]);
  });

  test.for<[string, Partial<CrashOrder>]>([
    ['a holder that is stopped', { victims: ['holder'], means: ['stop'] }],
  ])('there is none against %s', ([, change]) => {
    expect(drawStrike({ ...order, ...change }, () => 0)).toBeUndefined();
  });
});
