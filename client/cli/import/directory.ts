// A directory with one file for each secret, as Docker, systemd and Kubernetes lay them out: the file's name is the secret's,
// its bytes are the value. Directories, empty files, and names that begin with a dot are left aside.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isLapseError } from '../../../manifest/errors.ts';
import { parseSecretName } from '../../../manifest/names.ts';
import { ClientError } from '../../errors.ts';
import { MOST_FOUND, checkFound, malformed, readBounded } from './source.ts';
import type { Findings, Found } from './source.ts';

/** @throws ClientError import-malformed, value-unreadable; ManifestError value-too-large */
export async function readSecretsDirectory(path: string): Promise<Findings> {
  const found: Found[] = [];
  const skipped: string[] = [];
  const names = await list(path);
  if (names.length > 4 * MOST_FOUND) throw malformed(`more than ${MOST_FOUND} secrets at once`);
  for (const name of names) {
    const why = await unfit(path, name);
    if (why === undefined)
      found.push({ name: nameOf(name), value: await readBounded(join(path, name)), grants: [] });
    else skipped.push(`${name}: ${why}`);
  }
  return { found: checkFound(found), skipped };
}

async function list(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (cause) {
    throw new ClientError('value-unreadable', `cannot read ${path}`, { cause });
  }
}

async function unfit(directory: string, name: string): Promise<string | undefined> {
  if (name.startsWith('.')) return 'its name begins with a dot';
  const file = await stat(join(directory, name)).catch(() => undefined);
  if (!file?.isFile()) return 'it is no file';
  return file.size === 0 ? 'it is empty' : undefined;
}

function nameOf(name: string) {
  try {
    return parseSecretName(name);
  } catch (cause) {
    if (!isLapseError(cause)) throw cause;
    throw malformed(`${JSON.stringify(name)} is no name of a secret`);
  }
}
