// The demo as a visitor runs it: it passes, and can be run again; each sabotage is caught; and however it ends, it leaves
// nothing behind. It has a directory for temporary files of its own here, so that what it leaves can be seen.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Figures } from '../../demo/measure.ts';
import { until, mountsBelow } from '../support/lapsed.ts';
import { commandLines, controlGroups } from '../support/processes.ts';

const MAIN = fileURLToPath(new URL('../../demo/main.ts', import.meta.url));
const FIGURES = fileURLToPath(new URL('../../out/demo.json', import.meta.url));

/** For a whole demo, and for each step on its way; it has its own patience. */
const TEST_MS = 180_000;
const STEP_MS = 60_000;

let temporary: string;

beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'lapse-demo-test-'));
});

afterEach(() => rmSync(temporary, { recursive: true, force: true }));

class Demo {
  readonly child;
  readonly #ended;
  output = '';

  constructor(...args: readonly string[]) {
    this.child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: temporary },
    });
    this.#ended = once(this.child, 'close');
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
  }

  async said(text: string): Promise<void> {
    await until(text, () => Promise.resolve(this.output.includes(text) || undefined), STEP_MS);
  }

  async ended(): Promise<number | null> {
    await this.#ended;
    return this.child.exitCode;
  }
}

/** No mount, no process, no control group, no file. */
function expectNothingLeft(demo: Demo): void {
  expect(commandLines().filter((line) => line.includes(temporary))).toEqual([]);
  expect(mountsBelow(temporary)).toEqual([]);
  expect(readdirSync(temporary)).toEqual([]);
  expect(controlGroups().filter((name) => name.includes(`lapse-demo-${demo.child.pid}-`))).toEqual([]);
}

it('passes, with the figures that are promised', { timeout: TEST_MS }, async () => {
  rmSync(FIGURES, { force: true });
  const demo = new Demo();
  expect(await demo.ended(), demo.output).toBe(0);
  const figures = JSON.parse(readFileSync(FIGURES, 'utf8')) as Figures;
  expect(figures).toMatchObject({
    revoke: { readsAfterEffect: 0 },
    deniedContainer: { reads: 0, errno: 'ENOENT' },
    plaintextOnDisk: { hits: 0, plantedHits: 1 },
  });
  expect(figures.rotate.ms).toBeGreaterThan(0);
  expect(figures.revoke.ms).toBeGreaterThan(0);
  expect(figures.reader.maxGapUs).toBeGreaterThan(0);
  expect(figures.reader.reads).toBeGreaterThanOrEqual(1000);
  expect(figures.reader.aliveAfterMs).toBeGreaterThanOrEqual(500);
  expect(figures.deniedContainer.attempts).toBeGreaterThanOrEqual(100);
  expect(figures.plaintextOnDisk.filesScanned).toBeGreaterThan(10);
  for (const ms of Object.values(figures.processMs)) expect(ms).toBeGreaterThan(0);
  expectNothingLeft(demo);
});

it.each([
  // A mapping that is never invalidated outlives a revocation, and the lease as well.
  ['no-invalidate', /CAUGHT: [1-9]\d* reads .*mapped.* after the revocation/, 2],
  ['log-plaintext', /CAUGHT: plaintext stands on disk, in [1-9]/, 1],
  ['no-identity', /CAUGHT: the container without a grant read the secret [1-9]/, 1],
] as const)('catches the sabotage %s', { timeout: TEST_MS }, async (name, sentence, times) => {
  const demo = new Demo('--break', name);
  expect(await demo.ended(), demo.output).toBe(1);
  expect(demo.output).toMatch(sentence);
  expect(demo.output.match(/CAUGHT/g), 'nothing else is broken').toHaveLength(times);
  expectNothingLeft(demo);
});

it.each([
  'taken back',
  'lapse-service on',
  'keys made',
  'FUSE mounted',
  'two containers',
  'the granted container reads',
])('SIGINT after “%s” clears everything', { timeout: TEST_MS }, async (line) => {
  const demo = new Demo();
  await demo.said(line);
  demo.child.kill('SIGINT');
  expect(await demo.ended()).toBe(130);
  expectNothingLeft(demo);
});
