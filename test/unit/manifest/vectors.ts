// Reads a vector file. The files are checked, never written, by tests; `test/vectors/generate.ts` writes them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export function vectors(name: string): unknown {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../../vectors', `${name}.json`), 'utf8'));
}
