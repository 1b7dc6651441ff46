// What an import finds: values under names, perhaps with grants, and what it left aside. Values are Buffers that the caller
// zeroes; they are never strings.
import { open } from 'node:fs/promises';
import { ManifestError } from '../../../manifest/errors.ts';
import { LIMITS } from '../../../manifest/limits.ts';
import type { SecretName } from '../../../manifest/names.ts';
import type { Grant } from '../../../manifest/realm/grant.ts';
import { ClientError } from '../../errors.ts';

/** Secrets of one import. */
export const MOST_FOUND = 1000;

export interface Found {
  readonly name: SecretName;
  readonly value: Buffer;
  readonly grants: readonly Grant[];
}

export interface Findings {
  readonly found: readonly Found[];
  /** What was not taken, and why. */
  readonly skipped: readonly string[];
}

/** A regular file's bytes, up to `most`. @throws ClientError value-unreadable; ManifestError value-too-large */
export async function readBounded(path: string, most: number = LIMITS.valueBytes): Promise<Buffer> {
  try {
    await using file = await open(path);
    const stat = await file.stat();
    if (!stat.isFile()) throw new ClientError('value-unreadable', `${path} is no file`);
    if (stat.size > most) throw new ManifestError('value-too-large', `${path} has more than ${most} bytes`);
    return await file.readFile();
  } catch (cause) {
    if (cause instanceof ClientError || cause instanceof ManifestError) throw cause;
    throw new ClientError('value-unreadable', `cannot read ${path}`, { cause });
  }
}

/** @throws ClientError import-malformed: a name twice, or too many of them */
export function checkFound(found: readonly Found[]): readonly Found[] {
  if (found.length > MOST_FOUND) throw malformed(`more than ${MOST_FOUND} secrets at once`);
  const names = new Set<string>();
  for (const { name } of found) {
    if (names.has(name)) throw malformed(`${name} is there twice`);
    names.add(name);
  }
  return found;
}

export function malformed(why: string): ClientError {
  return new ClientError('import-malformed', `nothing was imported: ${why}`);
}
