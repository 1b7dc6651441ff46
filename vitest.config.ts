// Four projects, from pure to real: unit (no I/O), service (a real service on loopback), mount (a real FUSE
// mount; root), container (real runc containers; root). The last two are serial: they share the kernel.
import { accessSync, constants, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import type { Reporter } from 'vitest/node';

/** Half of a program's start is compiling, and the tests start hundreds. */
const NODE_COMPILE_CACHE = fileURLToPath(new URL('out/compiled', import.meta.url));

/**
 * Temporary files of tests stand in memory where there is room: thousands of flushes of a disk that others use too prove
 * nothing, and take minutes. Tests of what a disk does make one of their own. The last project keeps the machine's disk, as
 * the demo does.
 */
const IN_MEMORY = roomInMemory('/dev/shm') ? '/dev/shm' : tmpdir();

function roomInMemory(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize >= 1 << 29;
  } catch {
    return false;
  }
}

const project = (name: string, groupOrder: number, serial: boolean) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    pool: 'forks' as const,
    env: { NODE_COMPILE_CACHE, TMPDIR: name === 'container' ? tmpdir() : IN_MEMORY },
    fileParallelism: !serial,
    maxConcurrency: 2,
    sequence: { groupOrder },
    // Real processes, disks and clocks: a test that fails gets one more try, and `secondTries` says so at the end.
    retry: 1,
    testTimeout: name === 'unit' ? 20_000 : 60_000,
    hookTimeout: 60_000,
  },
});

const retried: string[] = [];

/** Names every test that passed only when it was tried again: it is to be mended. */
const secondTries: Reporter = {
  onTestCaseResult(test) {
    const { retryCount = 0 } = test.diagnostic() ?? {};
    if (retryCount > 0) retried.push(`${test.module.moduleId}: ${test.fullName}`);
  },
  onTestRunEnd() {
    for (const name of retried) process.stdout.write(`TRIED AGAIN ${name}\n`);
  },
};

export default defineConfig({
  test: {
    reporters: ['default', secondTries],
    projects: [
      project('unit', 0, false),
      project('service', 1, false),
      project('mount', 2, true),
      project('container', 3, true),
    ],
  },
});
