// Four projects, from pure to real: unit (no I/O), service (a real service on loopback), mount (a real FUSE
// mount; root), container (real runc containers; root). The last two are serial: they share the kernel.
import { accessSync, constants, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

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
    testTimeout: name === 'unit' ? 20_000 : 60_000,
    hookTimeout: 60_000,
  },
});

export default defineConfig({
  test: {
    projects: [
      project('unit', 0, false),
      project('service', 1, false),
      project('mount', 2, true),
      project('container', 3, true),
    ],
  },
});
