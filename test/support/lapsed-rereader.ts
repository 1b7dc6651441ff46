// A reader that never rests: opens, reads and closes until its standard input ends, then tells how often it saw what.
// `each PATH`: what is there. `pair DIRECTORY NAME NAME`: what both are through one descriptor of the directory. A value is
// told by its number, or as `torn` (lapsed-values.ts).
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { wholeValue } from './lapsed-values.ts';

const [way = '', path = '', ...names] = process.argv.slice(2);
const ROUNDS = 20;
const seen = new Map<string, number>();
let resting = false;

const read = (...parts: readonly string[]): string => wholeValue(readFileSync(join(...parts), 'utf8'));

const ways: Readonly<Record<string, () => string>> = {
  each: () => read(path),
  pair: () => {
    const directory = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return names.map((name) => read('/proc/self/fd', String(directory), name)).join(' ');
    } finally {
      closeSync(directory);
    }
  },
};

function look(): string {
  try {
    return ways[way]?.() ?? 'EINVAL';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function reread(): void {
  for (let i = 0; i < ROUNDS; i++) {
    const what = look();
    seen.set(what, (seen.get(what) ?? 0) + 1);
  }
  if (resting) process.stdout.write(JSON.stringify([...seen]));
  else setImmediate(reread);
}

process.stdin.on('end', () => (resting = true)).resume();
process.stdout.write('reading\n');
reread();
