/**
 * Tells whoever watches (inotify) what has changed, by the server's own requests through its private mount, which has to be
 * writable (`attach` with `readOnly: false`); the tree agrees to them (tree.ts, OwnRequests). For the main thread: the
 * serving thread answers. Nothing depends on it but watchers, so a failure is told and not thrown.
 */
import { open, rename, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

/** A file that is about to be replaced. */
export interface Replacing {
  /** After the replacement is in effect: IN_MODIFY and IN_CLOSE_WRITE on the old file, and for its directory. */
  replaced(): Promise<boolean>;
}

export class Announcer {
  readonly #mount: string;

  constructor(mount: string) {
    this.#mount = mount;
  }

  /** Before a name leads elsewhere: holds the file that it leads to. `size` is the one that the file has. */
  async replacing(path: string, size: number): Promise<Replacing> {
    const file = await open(join(this.#mount, path), 'r+').catch(() => undefined);
    return { replaced: () => told(touch(file, size)) };
  }

  /** Makes a name appear that the tree agreed to show: IN_CREATE. */
  created(path: string): Promise<boolean> {
    return told(open(join(this.#mount, path), 'wx').then((file) => file.close()));
  }

  /** Takes a name away that is gone for everybody else: IN_DELETE. */
  deleted(path: string): Promise<boolean> {
    return told(unlink(join(this.#mount, path)));
  }

  /** IN_MOVED_FROM, IN_MOVED_TO. */
  renamed(from: string, to: string): Promise<boolean> {
    return told(rename(join(this.#mount, from), join(this.#mount, to)));
  }
}

async function touch(file: FileHandle | undefined, size: number): Promise<void> {
  if (file === undefined) throw new Error('there was no file to hold');
  try {
    await file.truncate(size);
  } finally {
    await file.close();
  }
}

function told(work: Promise<void>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
