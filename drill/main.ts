// `npm run drill -- KIND`: brings up the whole stack on this machine, runs the real `lapse drill KIND` against it, and harms it from
// outside where the kind is about harm. Writes out/drill-KIND.json and .html. Ends with 0 only if everything passed;
// however it ends, nothing of it is left running, mounted, or on disk.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../client/clock.ts';
import { USAGE, readOptions } from './options.ts';
import { runDrill, startFleet } from './run.ts';

const OUT = fileURLToPath(new URL('../out/', import.meta.url));

const interrupted = new AbortController();

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (!options) {
    process.stderr.write(USAGE);
    return 2;
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => interrupted.abort(new Error('stopped before the end')));
  // Whatever happens, what was started is ended first.
  process.on('uncaughtException', (error) => interrupted.abort(error));
  await mkdir(OUT, { recursive: true });
  const at = (extension: string): string => join(OUT, `drill-${options.kind}.${extension}`);
  const setting = { clock: systemClock(), signal: interrupted.signal, say };
  await using fleet = await startFleet(options, setting);
  const { json, lines, problems } = await runDrill(fleet, options, at('html'), setting);
  const text = `${JSON.stringify(json, null, 2)}\n`;
  await writeFile(at('json'), text);
  if (options.json) process.stdout.write(text);
  else print([...lines, ...problems.map((problem) => `CAUGHT: ${problem}`)]);
  return problems.length > 0 ? 1 : 0;
}

function say(what: string): void {
  process.stderr.write(`${what}\n`);
}

function print(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

try {
  process.exitCode = await main();
} catch (error) {
  say(`drill: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
}
