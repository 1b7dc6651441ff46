// Four projects, from pure to real: unit (no I/O), service (a real service on loopback), mount (a real FUSE
// mount; root), container (real runc containers; root). The last two are serial: they share the kernel.
import { defineConfig } from 'vitest/config';

const project = (name: string, groupOrder: number, serial: boolean) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    pool: 'forks' as const,
    fileParallelism: !serial,
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
