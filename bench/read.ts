// What a small file costs: open, read and close, on tmpfs, on our engine and on fuse-native, the same static tree
// behind both. One run, interleaved rounds, everything on one CPU (or the figures swing with where threads wake).
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Mountpoint, ServerProcess } from '../test/support/fuse-server.ts';
import { HELLO } from '../test/support/fuse-static-tree.ts';
import { percentile } from './findings.ts';
import type { Findings } from './findings.ts';

const ROUNDS = 15;
const READS = 3000;
const CPU = '1';

const run = promisify(execFile);

export async function read(): Promise<Findings> {
  execFileSync('taskset', ['-a', '-p', '-c', CPU, String(process.pid)], { stdio: 'ignore' });
  const timer = compileTimer();
  using kernel = new Mountpoint();
  using native = new Mountpoint();
  await using _kernelServer = await ServerProcess.start('kernel', kernel.path);
  await using _nativeServer = await ServerProcess.start('fuse-native', native.path);
  const memory = mkdtempSync('/dev/shm/lapse-bench-');
  writeFileSync(join(memory, 'hello'), HELLO);
  const files = {
    tmpfs: join(memory, 'hello'),
    lapse: join(kernel.path, 'hello'),
    fuseNative: join(native.path, 'hello'),
  };
  const times: Record<keyof typeof files, number[]> = { tmpfs: [], lapse: [], fuseNative: [] };
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of Object.keys(files) as (keyof typeof files)[]) {
        const { stdout } = await run(timer, [files[name], String(READS)]);
        times[name].push(Number(stdout));
      }
    }
  } finally {
    rmSync(memory, { recursive: true });
  }
  return report(times);
}

function compileTimer(): string {
  const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
  mkdirSync(at('../out/bin'), { recursive: true });
  execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-o', at('../out/bin/timer'), at('./timer.c')]);
  return at('../out/bin/timer');
}

function report(times: Readonly<Record<'tmpfs' | 'lapse' | 'fuseNative', readonly number[]>>): Findings {
  const us = Object.fromEntries(
    Object.entries(times).map(([name, values]) => [
      name,
      { median: percentile(values, 0.5), least: percentile(values, 0), most: percentile(values, 1) },
    ]),
  );
  const vsFuseNative =
    Math.round((percentile(times.fuseNative, 0.5) / percentile(times.lapse, 0.5)) * 100) / 100;
  return {
    lines: [
      `open + read + close of a small file, ${ROUNDS} rounds of ${READS}, one CPU, µs:`,
      ...Object.entries(us).map(
        ([name, { median, least, most }]) =>
          `${name.padEnd(12)}${median.toFixed(1)}  (${least.toFixed(1)} to ${most.toFixed(1)})`,
      ),
      `fuse-native takes ${vsFuseNative} times as long as our engine`,
    ],
    json: { us, ratio: { vsFuseNative } },
  };
}
