import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HeldState, parseAgreement, parseNodes } from '../../../fuse/hold/state.ts';

let run: string;
let state: HeldState;

beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'lapse-held-'));
  state = new HeldState(run);
});

afterEach(() => rmSync(run, { recursive: true }));

const invalid = expect.objectContaining({ code: 'state-invalid' }) as Error;

describe('what a server leaves for the next', () => {
  it('is read as it was saved', async () => {
    await state.saveAgreement({ minor: 45, flags: 0x44_6000 });
    expect(await state.agreement()).toEqual({ minor: 45, flags: 0x44_6000 });
    await state.saveNodes([2, 10, 2 ** 52 - 1]);
    expect(await state.nodes()).toEqual([2, 10, 2 ** 52 - 1]);
    await state.saveNodes([]);
    expect(await state.nodes()).toEqual([]);
  });

  it('is missing before it was saved', async () => {
    await expect(state.agreement()).rejects.toThrow(invalid);
    await expect(state.nodes()).rejects.toThrow(invalid);
  });

  it('is that of the last call, and nothing else is left', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, index) => state.saveNodes([index + 1])));
    expect(await state.nodes()).toEqual([20]);
    expect(readdirSync(run)).toEqual(['withdraw']);
    expect(statSync(join(run, 'withdraw')).mode & 0o777).toBe(0o600);
  });

  it('names the mounts as the kernel lists them', async () => {
    const odd = mkdtempSync(join(run, 'odd \t\\'));
    await state.saveMounts([odd]);
    const [device, path] = readFileSync(join(run, 'mounts'), 'utf8').trimEnd().split(' ');
    expect(device).toMatch(/^\d+:\d+$/);
    expect(path).toBe(odd.replaceAll('\\', '\\134').replaceAll(' ', '\\040').replaceAll('\t', '\\011'));
  });
});

describe('an agreement', () => {
  it.each([
    '',
    'null',
    '[]',
    '{"minor":45}',
    '{"minor":45,"flags":-1}',
    '{"minor":"45","flags":1}',
    '{"minor":45.5,"flags":1}',
    '{"minor":45,"flags":4294967296}',
    '{"minor":45,"flags":1,"more":1}',
  ])('is not %s', (text) => expect(() => parseAgreement(text)).toThrow(invalid));
});

describe('a list of nodes', () => {
  it.each(['1', '1\n\n', '0\n', '-1\n', '01\n', '1 \n', '0x1\n', '1e3\n', '4503599627370496\n', 'a\n'])(
    'is not %j',
    (text) => expect(() => parseNodes(text)).toThrow(invalid),
  );
});
