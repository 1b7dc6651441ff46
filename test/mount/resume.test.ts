// A server is killed with reads in flight and files open, and the next goes on where it ended.
import { mkdtempSync, rmSync } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileReader, Hold, nodeOf, Reader } from '../support/fuse-hold.ts';
import { byteAt, FILE_BYTES, MANY } from '../support/fuse-hold-tree.ts';

const KILLS = 100;
const KILLS_WITHOUT_RESEND = 10;
/** So many, where a busy machine does not get the signal to the server during a read. */
const MOST_WITHOUT_RESEND = 60;

const tools = mkdtempSync(join(tmpdir(), 'lapse-tools-'));
let reader: string;

beforeAll(() => {
  reader = compileReader(tools);
});

afterAll(() => rmSync(tools, { recursive: true }));

function content(name: string): Buffer {
  return Buffer.from(Array.from({ length: FILE_BYTES }, (_, at) => byteAt(nodeOf(name), at)));
}

async function bytes(file: FileHandle): Promise<Buffer> {
  const into = Buffer.alloc(FILE_BYTES + 1);
  const { bytesRead } = await file.read(into, 0, into.length, 0);
  return into.subarray(0, bytesRead);
}

function report(what: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(0);
  process.stdout.write(`${what}: p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, max ${at(1)} ms of ${times.length}\n`);
}

describe('a server that is killed', () => {
  it(`is followed by one that goes on, ${KILLS} times, and no reader sees an error`, async () => {
    await using hold = await Hold.start({ maxCrashes: KILLS });
    // One is in the middle of a read whenever the server dies; the other opens, maps and closes all the time.
    await using inFlight = await Reader.file(reader, 'hammer', hold.public, 'slow');
    await using everything = await Reader.file(reader, 'hammer', hold.public, 'steady');
    await using held = await open(join(hold.public, 'steady'));
    const times: number[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const revoked = kill % (KILLS / MANY.length) === 0 ? MANY[kill / (KILLS / MANY.length)]! : undefined;
      await using before =
        revoked === undefined ? undefined : await hold.answers(open(join(hold.public, revoked)));
      if (before && revoked)
        expect(await hold.answers(bytes(before)), 'readable before').toEqual(content(revoked));

      const killed = performance.now();
      hold.signalServer('SIGKILL');
      if (revoked) hold.turnOn(`revoked-${revoked}`);
      expect((await hold.answers(bytes(held))).equals(content('steady'))).toBe(true);
      times.push(performance.now() - killed);

      if (before && revoked) {
        await expect(hold.answers(bytes(before)), 'revoked meanwhile').rejects.toMatchObject({
          code: 'EACCES',
        });
        await expect(hold.answers(stat(join(hold.public, revoked)))).rejects.toMatchObject({
          code: 'ENOENT',
        });
      }
      // At every moment of its life, also while it still takes over.
      await sleep((kill * 7) % 50);
    }
    expect(hold.count(/died with 137|is dead, but/)).toBe(KILLS);
    expect(hold.count(/killing/), 'a death is noticed').toBe(0);
    expect(await everything.finish()).toMatch(/^\d+ [\d.]+$/);
    expect(await inFlight.finish()).toMatch(/^\d+ [\d.]+$/);
    expect(hold.count(/fault:/)).toBe(0);
    report('time from kill to first answered read', times);
  }, 300_000);

  it('is followed by one that refuses what was in flight, where the kernel cannot send again', async () => {
    await using hold = await Hold.start({ maxCrashes: MOST_WITHOUT_RESEND });
    hold.turnOn('no-resend');
    await using slow = await open(join(hold.public, 'slow'));
    const times: number[] = [];
    let refused = 0;
    const isEnough = (kills: number): boolean =>
      kills === MOST_WITHOUT_RESEND || (kills >= KILLS_WITHOUT_RESEND && refused > 0);
    for (let kill = 0; !isEnough(kill); kill += 1) {
      const read = bytes(slow).catch((error: unknown) => error);
      await sleep(10);
      const killed = performance.now();
      hold.signalServer('SIGKILL');
      const end = await hold.answers(read);
      times.push(performance.now() - killed);
      if (end instanceof Error) {
        expect(end).toMatchObject({ code: 'EACCES' });
        refused += 1;
      } else expect(end).toEqual(content('slow'));
      expect(await hold.answers(readFile(join(hold.public, 'slow')))).toEqual(content('slow'));
      await hold.said(/taken over/, kill + 1);
    }
    expect(hold.count(/"resent":true/), 'as if the kernel could not').toBe(0);
    // And where no read was in flight, maybe what the killed server asked of its own mount.
    expect(hold.count(/"refused":1/)).toBeGreaterThanOrEqual(refused);
    expect(refused, 'reads were in flight').toBeGreaterThan(0);
    report('time from kill to the end of a read in flight, without RESEND', times);
  }, 120_000);
});
