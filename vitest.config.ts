// Four projects, from pure to real: unit (no I/O), service (a real service on loopback), mount (a real FUSE
// mount; root), container (real runc containers; root). The last two are serial: they share the kernel.
import { accessSync, appendFileSync, constants, mkdirSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
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
    // Real processes, disks and clocks: a test that fails is tried again, and `verdict` says so at the end.
    retry: name === 'unit' ? 1 : 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});

/** What is left to read of each run when all the rest has scrolled away; `tools/test.sh` prints it last of all. */
const VERDICT = fileURLToPath(new URL('out/test-verdict.log', import.meta.url));

/** The text of an error on one line, no longer than a line is read. */
const brief = (message: string): string => message.replace(/\s+/g, ' ').slice(0, 300);

type Errors = readonly { readonly message: string }[];

/** Names every test that failed, with why, and every one that passed only when it was tried again: it is to be mended. */
const verdict: Reporter = {
  onTestRunEnd(modules, unhandled) {
    const lines: string[] = unhandled.map((error) => `UNHANDLED ${brief(error.stack ?? error.message)}`);
    const note = (what: string, name: string, errors: Errors) =>
      lines.push(`${what} ${name}: ${errors.map(({ message }) => brief(message)).join(' | ')}`);
    const failed = (name: string, errors: Errors) => errors.length > 0 && note('FAILED', name, errors);
    for (const module of modules) {
      const file = module.relativeModuleId;
      failed(file, module.errors());
      for (const suite of module.children.allSuites()) failed(`${file}: ${suite.fullName}`, suite.errors());
      for (const test of module.children.allTests()) {
        const name = `${file}: ${test.fullName}`;
        const { state, errors = [] } = test.result();
        if (state === 'failed') note('FAILED', name, errors);
        else if ((test.diagnostic()?.retryCount ?? 0) > 0) note('TRIED AGAIN', name, errors);
      }
    }
    const text = lines.map((line) => `${line}\n`).join('');
    mkdirSync(dirname(VERDICT), { recursive: true });
    appendFileSync(VERDICT, text);
    process.stdout.write(text);
  },
};

export default defineConfig({
  test: {
    reporters: ['default', verdict],
    projects: [
      project('unit', 0, false),
      project('service', 1, false),
      project('mount', 2, true),
      project('container', 3, true),
    ],
  },
});
