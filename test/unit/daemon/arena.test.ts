// The arena: regions that never overlap, are zero when they are given back, and lie in memory that the kernel says
// is locked.
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Arena, lockedBytes } from '../../../daemon/vault/arena.ts';
import type { Region } from '../../../daemon/vault/arena.ts';

const SIZE = 4096;
const full = expect.objectContaining({ code: 'arena-full' }) as Error;
const fresh = (): Arena => new Arena(new SharedArrayBuffer(SIZE));

describe('regions', () => {
  test('are aligned, at least as long as asked, and end with the arena', () => {
    const arena = fresh();
    expect(arena.allocate(1)).toEqual({ offset: 0, length: 64 });
    expect(arena.allocate(65)).toEqual({ offset: 64, length: 128 });
    expect(arena.allocate(SIZE - 192)).toEqual({ offset: 192, length: SIZE - 192 });
    expect(() => arena.allocate(1)).toThrow(full);
  });

  test('more than there is', () => {
    expect(() => fresh().allocate(SIZE + 1)).toThrow(full);
  });

  test.for(['forwards', 'backwards', 'middle last'])('freed %s, they are one again', (order) => {
    const arena = fresh();
    const [a, b, c] = [arena.allocate(1024), arena.allocate(1024), arena.allocate(2048)];
    const regions = { forwards: [a, b, c], backwards: [c, b, a], 'middle last': [a, c, b] }[order]!;
    for (const region of regions) arena.release(region);
    expect(arena.allocate(SIZE)).toEqual({ offset: 0, length: SIZE });
  });

  test('room that is not in one piece is no room', () => {
    const arena = fresh();
    const [a, , c] = [arena.allocate(1024), arena.allocate(1024), arena.allocate(2048)];
    arena.release(a);
    arena.release(c);
    expect(() => arena.allocate(2049)).toThrow(full);
    expect(arena.allocate(2048).offset).toBe(2048);
  });

  test('are zero once released, and their neighbours untouched', () => {
    const memory = new SharedArrayBuffer(SIZE);
    const arena = new Arena(memory);
    const regions = [arena.allocate(64), arena.allocate(64), arena.allocate(64)];
    for (const region of regions) arena.bytes(region).fill(7);
    arena.release(regions[1]!);
    const sevens = new Uint8Array(memory).reduce(
      (count, byte, i) => count + (byte === 7 && (i < 64 || i >= 128) ? 1 : 0),
      0,
    );
    expect(sevens).toBe(128);
    expect(arena.bytes(regions[1]!).every((byte) => byte === 0)).toBe(true);
  });

  test('whatever is taken and given back, they never overlap and none is lost', () => {
    const step = fc.record({ bytes: fc.integer({ min: 1, max: 900 }), free: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const arena = fresh();
        const held: Region[] = [];
        for (const { bytes, free } of steps) {
          try {
            held.push(arena.allocate(bytes));
          } catch {
            const [gone] = held.splice(free % held.length, 1);
            arena.release(gone!);
          }
          const sorted = held.toSorted((a, b) => a.offset - b.offset);
          sorted.forEach(({ offset }, i) => {
            const before = sorted[i - 1];
            expect(offset >= (before ? before.offset + before.length : 0)).toBe(true);
          });
        }
        held.forEach((region) => arena.release(region));
        expect(arena.allocate(SIZE).length).toBe(SIZE);
      }),
    );
  });
});

describe('what the kernel says is locked', () => {
  const mapping = (flags: string, kB = 64): string =>
    `7f0000000000-7f0000010000 rw-p 00000000 00:00 0 \nSize:  64 kB\nLocked:               ${kB} kB\nVmFlags: ${flags} \n`;

  test.for<[string, number, string]>([
    ['nothing', 0, ''],
    ['one of two mappings', 65_536, mapping('rd wr mr lo sd') + mapping('rd wr mr sd')],
    ['both', 98_304, mapping('rd lo') + mapping('lo rd', 32)],
    ['a flag that only begins like it', 0, mapping('rd loc')],
    ['no such flag, though it is counted as locked', 0, mapping('rd wr')],
    ['a flag without a count', 0, 'a-b rw-p 0 0:0 0\nVmFlags: rd lo\n'],
  ])('%s', ([, bytes, smaps]) => {
    expect(lockedBytes(smaps)).toBe(bytes);
  });
});

describe('locking, in a process of its own limits', () => {
  const script = `
    const { createRequire } = await import('node:module');
    const sodium = createRequire(process.argv[1])('sodium-native');
    if (process.argv[2] === 'pretend') sodium.sodium_mlock = () => undefined;
    const { lockedMemory } = await import(process.argv[1]);
    try {
      console.log(lockedMemory(1 << 20).byteLength);
    } catch ({ code }) {
      console.log(code);
    }`;
  const module = new URL('../../../daemon/vault/arena.ts', import.meta.url).href;

  /** `limits` is shell; capabilities go, since the one for locking passes every limit. */
  function run(limits: string, mlock: string): string {
    const command = `${limits}; exec setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock "$0" --input-type=module -e "$1" "$2" "$3"`;
    const { stdout, stderr } = spawnSync('sh', ['-c', command, process.execPath, script, module, mlock], {
      timeout: 20_000,
    });
    return stdout.toString().trim() || stderr.toString();
  }

  test.runIf(process.getuid?.() === 0).for([
    ['ulimit -c 0', 'real', '1048576'],
    ['ulimit -c 0; ulimit -l 64', 'real', 'memory-not-locked'],
    ['ulimit -c 0', 'pretend', 'memory-not-locked'],
    ['ulimit -S -c 1', 'real', 'core-dumps-allowed'],
  ])('%s, a %s mlock: %s', ([limits, mlock, said]) => {
    expect(run(limits!, mlock!)).toBe(said);
  });
});
