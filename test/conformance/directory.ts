// Files by any name at all, in one flat directory: a name is encoded, so that none climbs out of it, hides, or collides
// with another. A file is replaced whole or not at all; what is half written has a name that `recall` never reads.
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Keeper } from '../../client/update-cycle.ts';
import { encodeName } from './names.ts';

/** What most file systems allow, less room for an ending and a mark. */
const LONGEST = 240;

export class Directory implements Keeper {
  readonly #path: string;
  /** Of every file's name. */
  readonly #ending: string;

  constructor(path: string, ending: string) {
    this.#path = path;
    this.#ending = ending;
  }

  async recall(name: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.#file(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async keep(name: string, bytes: Uint8Array): Promise<void> {
    const file = this.#file(name);
    await mkdir(this.#path, { recursive: true });
    await writeFile(`${file}!`, bytes);
    await rename(`${file}!`, file);
  }

  async forget(name: string): Promise<void> {
    await rm(this.#file(name), { force: true });
  }

  #file(name: string): string {
    const encoded = encodeName(name).replace(/^\./, '%2E');
    // No encoded name contains `!`.
    const short = encoded.length <= LONGEST ? encoded : `!${createHash('sha256').update(name).digest('hex')}`;
    return join(this.#path, `${short}${this.#ending}`);
  }
}
