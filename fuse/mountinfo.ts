/**
 * What is mounted where, by the kernel's own list: unlike stat or statfs, reading it never asks a file system, so it
 * answers even where a dead or hanging server is mounted.
 */
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

export interface Mount {
  readonly type: string;
  readonly source: string;
}

export interface MountEntry extends Mount {
  readonly id: number;
  readonly parent: number;
  readonly directory: string;
}

/** The topmost mount on exactly this directory. */
export async function findMount(directory: string): Promise<Mount | undefined> {
  const [found] = await findMounts([directory]);
  return found;
}

/** The topmost mount on each of the directories, at one moment. */
export async function findMounts(directories: readonly string[]): Promise<readonly (Mount | undefined)[]> {
  const paths = await Promise.all(directories.map(canonical));
  const mounts = parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'));
  return paths.map((path) => topmost(mounts, path));
}

/** The directory as the kernel lists it. Only its parent is asked: the directory itself may not answer. */
export async function canonical(directory: string): Promise<string> {
  const path = resolve(directory);
  return join(await realpath(dirname(path)), basename(path));
}

/** proc_pid_mountinfo(5); lines that do not follow it are left out. */
export function parseMountinfo(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ', 2);
    const [id, parent, , , directory] = before?.split(' ') ?? [];
    const [type, source] = after?.split(' ') ?? [];
    if (directory === undefined || type === undefined || source === undefined) return [];
    return [
      {
        id: Number(id),
        parent: Number(parent),
        directory: plain(directory),
        type: plain(type),
        source: plain(source),
      },
    ];
  });
}

/** Of several mounts on one directory, the one that no other lies upon. */
export function topmost(mounts: readonly MountEntry[], directory: string): Mount | undefined {
  const here = mounts.filter((mount) => mount.directory === directory);
  const covered = new Set(here.map((mount) => mount.parent));
  const top = here.findLast((mount) => !covered.has(mount.id));
  return top && { type: top.type, source: top.source };
}

/** Space, tab, newline, backslash and # are written as three octal digits. */
function plain(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
