// One file in the directory of the control socket (0700, tmpfs): what a server leaves for the next one of the same
// boot. Replaced as a whole, so that a reader finds the state before or the state after, and without fsync: nothing
// here is to outlive the machine. Synchronous on purpose: calls are in order, and what returned is written. The caller
// owes one writer at a time: during a handover the next server reads and writes only after the old one has ended. No
// secret may be in it.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { bootId } from '../../client/clock.ts';
import { isLapseError } from '../../manifest/errors.ts';
import { parseJson } from '../../manifest/json.ts';
import type { JsonObject } from '../../manifest/json.ts';
import { integer, object, string } from '../../manifest/shape.ts';
import { DaemonError } from '../errors.ts';

/** Of one file, read or written. */
const MOST_BYTES = 64 << 20;

/** Raised when a member changes its meaning: the next server may be of another release. */
const FORMAT = 1;

/** In another boot, numbers of processes and names of control groups mean nothing. */
export { bootId };

export class StateFile {
  readonly #path: string;
  readonly #boot: string;

  constructor(path: string, boot = bootId()) {
    this.#path = path;
    this.#boot = boot;
  }

  /** @throws DaemonError runtime-unwritable */
  write(members: JsonObject): void {
    const text = JSON.stringify({ format: FORMAT, boot: this.#boot, ...members });
    const bytes = Buffer.byteLength(text);
    if (bytes > MOST_BYTES) throw this.#unwritable(`${bytes} bytes, at most ${MOST_BYTES} fit`);
    try {
      writeFileSync(`${this.#path}.new`, text, { mode: 0o600 });
      renameSync(`${this.#path}.new`, this.#path);
    } catch (cause) {
      throw this.#unwritable('the file system refused', cause);
    }
  }

  /**
   * What `parse` makes of it; undefined when there is none.
   * @throws DaemonError runtime-unreadable, also for every LapseError of `parse`
   */
  read<State>(parse: (members: JsonObject) => State): State | undefined {
    const bytes = this.#bytes();
    if (!bytes) return undefined;
    try {
      const members = object(parseJson(bytes, MOST_BYTES), 'state');
      integer(members['format'], 'format', FORMAT, FORMAT);
      if (string(members['boot'], 'boot') !== this.#boot) throw this.#unreadable('it is of another boot');
      return parse(members);
    } catch (cause) {
      if (!isLapseError(cause) || cause instanceof DaemonError) throw cause;
      throw this.#unreadable(cause.message, cause);
    }
  }

  /** As if nobody had ever written it. @throws DaemonError runtime-unwritable */
  remove(): void {
    try {
      rmSync(this.#path, { force: true });
    } catch (cause) {
      throw this.#unwritable('it cannot be removed', cause);
    }
  }

  #bytes(): Uint8Array | undefined {
    try {
      return readFileSync(this.#path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#unreadable('it cannot be read', cause);
    }
  }

  #unreadable(why: string, cause?: unknown): DaemonError {
    return new DaemonError('runtime-unreadable', `${this.#path}: ${why}`, { cause });
  }

  #unwritable(why: string, cause?: unknown): DaemonError {
    return new DaemonError('runtime-unwritable', `${this.#path}: ${why}`, { cause });
  }
}
