// Where values come from, when it is not a terminal.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readValue } from '../../../client/cli/value.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-value-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string): string => join(directory, name);

describe('generated', () => {
  test.for([16, 33, 1024])('%i characters of the alphabet', async (generate) => {
    expect((await readValue({ generate }, 'command')).toString()).toMatch(
      new RegExp(`^[A-Za-z0-9_-]{${generate}}$`),
    );
  });

  test('never the same twice', async () => {
    const values = await Promise.all(
      Array.from({ length: 100 }, () => readValue({ generate: 16 }, 'command')),
    );
    expect(new Set(values.map(String)).size).toBe(100);
  });

  test('every character equally often', async () => {
    const counts = new Map<number, number>();
    for (let i = 0; i < 64; i++) {
      for (const byte of await readValue({ generate: 1000 }, 'command'))
        counts.set(byte, (counts.get(byte) ?? 0) + 1);
    }
    expect(counts.size).toBe(64);
    // 1000 of each expected, with a standard deviation of 31: eight of them happen to nobody.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(250);
  });
});

describe('from a file', () => {
  test('byte by byte', async () => {
    writeFileSync(at('bytes'), Buffer.from([0, 255, 10]));
    expect(await readValue({ file: at('bytes') }, 'command')).toEqual(Buffer.from([0, 255, 10]));
  });

  test('an empty one is no value', async () => {
    writeFileSync(at('empty'), '');
    await expect(readValue({ file: at('empty') }, 'command')).rejects.toMatchObject({
      code: 'value-missing',
    });
  });

  test.for(['absent', '.'])('%s cannot be read', async (name) => {
    await expect(readValue({ file: at(name) }, 'command')).rejects.toMatchObject({
      code: 'value-unreadable',
    });
  });
});
