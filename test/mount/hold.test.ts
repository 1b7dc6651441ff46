// The holder: dead-man's switch, handover, and the end in order, with readers that hold a descriptor and a mapping.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileReader, Hold, Home, Reader, until } from '../support/fuse-hold.ts';

const HANDOVERS = 10;
/** Four beats fit in it, and a moment in which the machine does something else. */
const LIMIT_MS = 1000;
const STOPS = 2;
/** No promise, but for the test: the limit, and the start of a server on a slow machine. */
const DEAD_WITHIN_MS = 15_000;

const tools = mkdtempSync(join(tmpdir(), 'lapse-tools-'));
let reader: string;

beforeAll(() => {
  reader = compileReader(tools);
});

afterAll(() => rmSync(tools, { recursive: true }));

const at = (hold: Hold, name: string): string => join(hold.public, name);
const exists = (pid: number): boolean => existsSync(`/proc/${pid}/status`);
const monotonic = (): number => Number(process.hrtime.bigint()) / 1e6;

/** With the shortest of these times that this machine needs for a start: a test waits for one that does not come. */
async function startWithin(...times: readonly number[]): Promise<Hold> {
  const [startMs, ...longer] = times;
  return Hold.start({ startMs: startMs! }).catch((error: unknown) => {
    if (longer.length === 0) throw error;
    return startWithin(...longer);
  });
}

describe("the dead-man's switch", () => {
  const faults: Record<string, (hold: Hold) => void> = {
    'is killed': (hold) => hold.signalServer('SIGKILL'),
    'is stopped': (hold) => hold.signalServer('SIGSTOP'),
    'is stuck in its main thread': (hold) => hold.turnOn('stick-main'),
    'is stuck in its serving thread': (hold) => hold.turnOn('stick-thread'),
  };

  it.each(Object.entries(faults))('withdraws what is held when the server %s', async (name, fault) => {
    await using hold = await Hold.start({ limitMs: LIMIT_MS });
    hold.turnOn('resume-lapsed');
    await using descriptor = await Reader.file(reader, 'descriptor', hold.public, 'steady');
    await using mapping = await Reader.file(reader, 'mapping', hold.public, 'odd');
    const { pid } = hold;
    await sleep(1.1 * LIMIT_MS);
    expect(hold.pid, 'a server without a fault is left alone').toBe(pid);
    for (const { lines } of [descriptor, mapping]) expect(lines).toEqual([expect.stringMatching(/ ok$/)]);

    const before = monotonic();
    fault(hold);
    const dead = [(await descriptor.says('EACCES')) - before, (await mapping.says('SIGBUS')) - before];
    for (const time of dead) expect(time).toBeLessThan(DEAD_WITHIN_MS);
    for (const { lines } of [descriptor, mapping]) expect(lines).toHaveLength(2);
    process.stdout.write(
      `${name}, limit ${LIMIT_MS} ms: descriptor dead after ${dead[0]!.toFixed(0)} ms, mapping after ${dead[1]!.toFixed(0)} ms\n`,
    );

    hold.turnOff('resume-lapsed');
    await until('the descriptor lives again', () => descriptor.lines.at(-1)?.endsWith(' ok') === true);
    await until('the old one is gone', () => !exists(pid));
  });

  it('leaves a server alone that went on while the holder was stopped', async () => {
    await using hold = await Hold.start({ limitMs: LIMIT_MS });
    const { pid } = hold;
    for (let times = 0; times < STOPS; times += 1) {
      hold.signalHolder('SIGSTOP');
      await sleep(1.2 * LIMIT_MS);
      hold.signalHolder('SIGCONT');
      await sleep(LIMIT_MS / 5);
    }
    expect([hold.pid, hold.count(/killing|died/)]).toEqual([pid, 0]);
    hold.signalServer('SIGKILL');
    await hold.said(/taken over/);
  });
});

describe('a machine that stands still', () => {
  /** It leaves a server a second more, and looks at least every half second. */
  const limitMs = 3 * LIMIT_MS;
  const LOOKS_MS = 700;

  it('is no server that hangs: holder and server go on as before', async () => {
    await using hold = await Hold.start({ limitMs });
    const { pid } = hold;
    hold.signalServer('SIGSTOP');
    hold.signalHolder('SIGSTOP');
    await sleep(limitMs + LIMIT_MS);
    hold.signalHolder('SIGCONT');
    await sleep(LOOKS_MS);
    process.kill(pid, 'SIGCONT');
    await sleep(LIMIT_MS);
    expect([hold.pid, hold.count(/killing|died/)], hold.log).toEqual([pid, 0]);
  });

  it('is believed once between two beats: a holder that is late again and again replaces a server that hangs', async () => {
    await using hold = await Hold.start({ limitMs });
    hold.signalServer('SIGSTOP');
    for (const stillMs of [limitMs + 200, 2 * LIMIT_MS]) {
      hold.signalHolder('SIGSTOP');
      await sleep(stillMs);
      hold.signalHolder('SIGCONT');
      await sleep(LOOKS_MS);
    }
    expect(hold.count(/killing/), hold.log).toBe(1);
    await hold.said(/taken over/);
  });
});

describe('a holder that gives up', () => {
  it('withdraws alone, and unmounts, though a request hangs', async () => {
    await using hold = await Hold.start({ maxCrashes: 2 });
    hold.turnOn('resume-crash');
    await using listed = await Reader.file(reader, 'mapping', hold.public, 'steady');
    // A node whose message has a line feed in it.
    await using odd = await Reader.file(reader, 'mapping', hold.public, 'odd');
    await using unlisted = await Reader.file(reader, 'mapping', hold.public, 'unlisted');
    await using faulting = await Reader.file(reader, 'touch', hold.public, 'slow');
    hold.signalServer('SIGKILL');
    // From now on its page is locked, and nobody answers.
    faulting.proceed();
    await Promise.all([listed.says('SIGBUS'), odd.says('SIGBUS')]);
    await until('the page fault ends', () => faulting.lines.at(-1) === 'SIGBUS');
    expect((await hold.exited)[0]).toBe(1);
    expect(hold.log).toMatch(/3 crashes within 10.00 s, giving up/);
    expect(hold.home.mounts()).toEqual([]);
    expect(readdirSync(hold.public)).toEqual([]);
    expect(unlisted.lines, 'what it was not told of stays').toHaveLength(1);
  });

  it('does so when a server says that no other can go on', async () => {
    await using hold = await Hold.start();
    hold.turnOn('resume-cannot');
    await using listed = await Reader.file(reader, 'mapping', hold.public, 'steady');
    hold.signalServer('SIGKILL');
    await listed.says('SIGBUS');
    expect((await hold.exited)[0]).toBe(1);
    expect(hold.log).toMatch(/cannot go on, giving up/);
    expect(hold.home.mounts()).toEqual([]);
  });

  it('does so when two servers in a row do not get ready', async () => {
    await using hold = await startWithin(1500, 3000, 6000);
    hold.turnOn('resume-never-ready');
    await using listed = await Reader.file(reader, 'mapping', hold.public, 'steady');
    hold.signalServer('SIGKILL');
    await listed.says('SIGBUS');
    expect((await hold.exited)[0]).toBe(1);
    expect(hold.count(/not ready within [1-9]/)).toBe(2);
    expect(hold.home.mounts()).toEqual([]);
  });

  it('does not unmount what somebody else mounted', async () => {
    await using hold = await Hold.start();
    hold.turnOn('resume-cannot');
    expect(spawnSync('mount', ['-t', 'tmpfs', 'none', hold.public], { timeout: 20_000 }).status).toBe(0);
    hold.signalServer('SIGKILL');
    expect((await hold.exited)[0]).toBe(1);
    expect(hold.log).toMatch(/something else is mounted there, left alone/);
    expect(hold.home.mounts()).toEqual([hold.public, hold.public]);
  });

  it('does so when the first server does not start', () => {
    using home = new Home('run');
    const holder = new URL('../../fuse/hold/hold.sh', import.meta.url).pathname;
    const command = [holder, home.at('run'), '1000', '5000', process.execPath, '--eval', 'process.exit(7)'];
    const { status, stderr } = spawnSync('bash', command, { encoding: 'utf8', timeout: 20_000 });
    expect(stderr).toMatch(/died with 7 before it was ready, giving up/);
    expect(status).toBe(1);
  });
});

describe('a handover', () => {
  it(`is not noticed by any reader, ${HANDOVERS} times`, async () => {
    await using hold = await Hold.start();
    const names = ['steady', 'steady', 'many-0', 'slow'];
    const readers = await Promise.all(names.map((name) => Reader.file(reader, 'hammer', hold.public, name)));
    try {
      for (let times = 1; times <= HANDOVERS; times += 1) {
        const { pid } = hold;
        hold.signalHolder('SIGHUP');
        await hold.said(/taken over/, times);
        expect(hold.pid).not.toBe(pid);
        await until('the old one is gone', () => !exists(pid));
      }
      expect(hold.count(/killing|died/)).toBe(0);
      const ends = await Promise.all(readers.map((hammer) => hammer.finish()));
      for (const end of ends) expect(end).toMatch(/^[1-9]\d* [\d.]+$/);
      const longest = Math.max(...ends.map((end) => Number(end!.split(' ')[1])));
      process.stdout.write(
        `longest step of a reader during ${HANDOVERS} handovers: ${longest.toFixed(0)} ms\n`,
      );
    } finally {
      for (const hammer of readers) await hammer[Symbol.asyncDispose]();
    }
  });

  it('that never gets ready changes nothing, and a second one is ignored meanwhile', async () => {
    await using hold = await startWithin(3000, 10_000);
    hold.turnOn('next-never-ready');
    await using hammer = await Reader.file(reader, 'hammer', hold.public, 'steady');
    const { pid } = hold;
    hold.signalHolder('SIGHUP');
    await hold.said(/next: started/);
    hold.signalHolder('SIGHUP');
    await hold.said(/SIGHUP ignored: a handover is under way/);
    await hold.said(/was not ready within [\d.]+ s, killing it/);
    expect(hold.pid).toBe(pid);
    expect(await hold.answers(readFile(at(hold, 'odd')))).toHaveLength(8192);
    expect(await hammer.finish()).toMatch(/^[1-9]\d* /);
    expect(hold.count(/next: started/)).toBe(1);
  });

  it('ends when the next server dies', async () => {
    await using hold = await Hold.start();
    hold.turnOn('next-never-ready');
    const { pid } = hold;
    hold.signalHolder('SIGHUP');
    await hold.said(/next: started/);
    const next = Number(/next: started (\d+)/.exec(hold.log)![1]);
    process.kill(next, 'SIGKILL');
    await hold.said(/the next server \d+ died/);
    expect(hold.pid).toBe(pid);
    expect(await hold.answers(readFile(at(hold, 'odd')))).toHaveLength(8192);
  });

  it('is off when the server crashes meanwhile: the one after it resumes', async () => {
    await using hold = await Hold.start();
    hold.turnOn('next-never-ready');
    await using hammer = await Reader.file(reader, 'hammer', hold.public, 'steady');
    hold.signalHolder('SIGHUP');
    await hold.said(/next: started/);
    hold.signalServer('SIGKILL');
    await hold.said(/the handover to \d+ is off/);
    await hold.said(/taken over/);
    const next = Number(/next: started (\d+)/.exec(hold.log)![1]);
    await until('the next is gone', () => !exists(next));
    expect(await hammer.finish()).toMatch(/^[1-9]\d* /);
  });

  it('does not wait for a server that does not yield', async () => {
    await using hold = await Hold.start();
    hold.turnOn('never-yield');
    await using hammer = await Reader.file(reader, 'hammer', hold.public, 'steady');
    hold.signalHolder('SIGHUP');
    await hold.said(/did not yield within 2.00 s, killing/);
    await hold.said(/taken over/);
    expect(await hammer.finish()).toMatch(/^[1-9]\d* /);
  });
});

describe('the end', () => {
  it('by SIGTERM leaves nothing mounted or mapped', async () => {
    await using hold = await Hold.start();
    await using mapping = await Reader.file(reader, 'mapping', hold.public, 'steady');
    expect(hold.home.mounts()).toEqual([hold.private, hold.public]);
    hold.signalHolder('SIGTERM');
    expect((await hold.exited)[0]).toBe(0);
    await mapping.says('SIGBUS');
    expect(hold.home.mounts()).toEqual([]);
    expect(readdirSync(hold.home.at('run'))).toEqual(['lock']);
    expect(hold.log).not.toMatch(/giving up/);
  });

  it('by SIGTERM during a handover ends both servers', async () => {
    await using hold = await Hold.start();
    hold.turnOn('next-never-ready');
    hold.signalHolder('SIGHUP');
    await hold.said(/next: started/);
    const servers = [hold.pid, Number(/next: started (\d+)/.exec(hold.log)![1])];
    hold.signalHolder('SIGTERM');
    expect((await hold.exited)[0]).toBe(0);
    for (const pid of servers) await until('both are gone', () => !exists(pid));
    expect(hold.home.mounts()).toEqual([]);
  });

  it('by SIGTERM comes though the server hangs', async () => {
    await using hold = await Hold.start({ limitMs: 20_000 });
    await using mapping = await Reader.file(reader, 'mapping', hold.public, 'steady');
    hold.signalServer('SIGSTOP');
    hold.signalHolder('SIGTERM');
    await mapping.says('SIGBUS');
    expect((await hold.exited)[0]).toBe(1);
    expect(hold.home.mounts()).toEqual([]);
  });

  it('of the holder alone ends the server in order', async () => {
    // The next beat is how it learns of that.
    await using hold = await Hold.start({ limitMs: LIMIT_MS });
    await using mapping = await Reader.file(reader, 'mapping', hold.public, 'steady');
    const { pid } = hold;
    hold.signalHolder('SIGKILL');
    await until('the server ends', () => !exists(pid));
    await mapping.says('SIGBUS');
    expect(hold.home.mounts()).toEqual([]);
  });

  it('is what a second holder of the same directory comes to', async () => {
    await using hold = await Hold.start();
    const holder = new URL('../../fuse/hold/hold.sh', import.meta.url).pathname;
    const { status, stderr } = spawnSync('bash', [holder, hold.home.at('run'), '1000', '500', 'true'], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(stderr).toMatch(/is in use/);
    expect(status).toBe(1);
    expect(await hold.answers(readFile(at(hold, 'odd')))).toHaveLength(8192);
  });
});
