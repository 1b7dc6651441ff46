// `npm run bench -- NAME`: prints figures and writes out/bench-NAME.json. Timing claims come from here, never from a
// test. One file a bench.
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Findings } from './findings.ts';
import { fleet } from './fleet.ts';
import { line } from './line.ts';
import { load } from './load.ts';
import { read } from './read.ts';
import { refresh } from './refresh.ts';
import { revoke } from './revoke.ts';
import { withdraw } from './withdraw.ts';

type Bench = (parameters: readonly string[]) => Promise<Findings>;
const BENCHES: Readonly<Record<string, Bench>> = { fleet, line, load, read, refresh, revoke, withdraw };

const [name = '', ...parameters] = process.argv.slice(2);
const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
if (bench) {
  const { lines, json, failed = false } = await bench(parameters);
  process.stdout.write(lines.map((text) => `${text}\n`).join(''));
  const out = fileURLToPath(new URL('../out/', import.meta.url));
  mkdirSync(out, { recursive: true });
  writeFileSync(`${out}bench-${name}.json`, `${JSON.stringify(json, null, 2)}\n`);
  if (failed) process.exitCode = 1;
} else {
  process.stderr.write(`usage: npm run bench -- ${Object.keys(BENCHES).join('|')}\n`);
  process.exitCode = 2;
}
