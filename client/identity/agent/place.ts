// Where an agent listens: a socket in a directory that only its user can enter, named after the realm directory whose
// identities it holds, so that commands find it without being told.
import { createHash } from 'node:crypto';
import { lstat, mkdir, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ClientError } from '../../errors.ts';

/** The directory is not made; a realm directory that does not exist has a place all the same. */
export async function agentSocket(realmDirectory: string): Promise<string> {
  const path = await realpath(realmDirectory).catch(() => resolve(realmDirectory));
  const name = createHash('sha256').update(path).digest('hex').slice(0, 16);
  return join(await agentDirectory(), `${name}.sock`);
}

/** Makes the directory if need be. @throws ClientError agent-unavailable: it is another's, or others can enter it */
export async function prepareDirectory(directory: string): Promise<void> {
  await mkdir(directory, { mode: 0o700 }).catch((cause: unknown) => {
    const { code = 'unknown' } = cause as NodeJS.ErrnoException;
    if (code !== 'EEXIST') throw unsafe(directory, code);
  });
  if (!(await isPrivate(directory))) throw unsafe(directory, 'others own it or can enter it');
}

/** A real directory, of this user, mode 0700 at most. */
export async function isPrivate(directory: string): Promise<boolean> {
  const stat = await lstat(directory).catch(() => undefined);
  return (
    stat !== undefined && stat.isDirectory() && stat.uid === process.geteuid?.() && (stat.mode & 0o077) === 0
  );
}

/** XDG_RUNTIME_DIR, else /run/user/UID, where this user has one; else a directory in the temporary one. */
async function agentDirectory(): Promise<string> {
  const uid = String(process.geteuid?.());
  for (const runtime of [process.env['XDG_RUNTIME_DIR'], `/run/user/${uid}`]) {
    if (runtime?.startsWith('/') && (await isPrivate(runtime))) return join(runtime, 'lapse');
  }
  return join(tmpdir(), `lapse-${uid}`);
}

function unsafe(directory: string, why: string): ClientError {
  return new ClientError('agent-unavailable', `cannot keep an agent's socket in ${directory}: ${why}`);
}
