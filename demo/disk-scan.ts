// Searches every file below a directory, but not what is mounted there, for a value: raw, in hexadecimal (both cases), and in base64 (both alphabets) at each of the
// three alignments at which it could stand inside something larger. A scan is worth nothing without its control, so
// `scan` is also run over a file that it must find.
import { randomBytes } from 'node:crypto';
import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Paths of files: those that were read, and those in which the value stands. */
export interface Scan {
  readonly files: ReadonlySet<string>;
  readonly hits: ReadonlySet<string>;
}

export async function scan(directory: string, values: readonly Uint8Array[]): Promise<Scan> {
  const forms = values.flatMap(formsOf);
  const files = new Set<string>();
  const hits = new Set<string>();
  for await (const path of filesBelow(directory, (await stat(directory)).dev)) {
    const bytes = await readFile(path).catch(unlessGone);
    if (!bytes) continue;
    files.add(path);
    if (forms.some((form) => bytes.includes(form))) hits.add(path);
  }
  return { files, hits };
}

/** Regular files on one device: what a mount shows stands on no disk. */
async function* filesBelow(directory: string, device: number): AsyncGenerator<string> {
  for (const entry of (await readdir(directory, { withFileTypes: true }).catch(unlessGone)) ?? []) {
    const path = join(directory, entry.name);
    if (entry.isFile()) yield path;
    else if (entry.isDirectory() && (await stat(path).catch(unlessGone))?.dev === device)
      yield* filesBelow(path, device);
  }
}

/** A program that still runs may have taken a file away. */
function unlessGone(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

export function together(a: Scan, b: Scan): Scan {
  return { files: a.files.union(b.files), hits: a.hits.union(b.hits) };
}

/** Hides a value where only a thorough search finds it, searches, and removes it again. */
export async function plantedHits(directory: string, value: Uint8Array): Promise<number> {
  const path = join(directory, 'planted');
  const text = Buffer.concat([randomBytes(1 + (randomBytes(1)[0] ?? 0)), value, randomBytes(64)]).toString(
    'base64',
  );
  await writeFile(path, `{"note":"${text}"}`);
  try {
    return (await scan(directory, [value])).hits.has(path) ? 1 : 0;
  } finally {
    await rm(path);
  }
}

function formsOf(value: Uint8Array): readonly Buffer[] {
  const bytes = Buffer.from(value);
  const hex = bytes.toString('hex');
  // Inside a longer base64 text the first and last characters depend on the neighbours: only the middle is sought.
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    return text.slice(shift === 0 ? 0 : shift + 1, -1);
  });
  return [
    bytes,
    ...[hex, hex.toUpperCase(), ...base64, ...base64.map(urlSafe)].map((text) => Buffer.from(text)),
  ];
}

function urlSafe(base64: string): string {
  return base64.replaceAll('+', '-').replaceAll('/', '_');
}
