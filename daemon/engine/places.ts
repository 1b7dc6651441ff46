// Where the file system is mounted: at a private place, where only the server enters and may ask for changes, and shown
// read-only at the public one, whose parent is what containers bind. What somebody else mounted there is never touched.
import { chmodSync, existsSync, mkdirSync, statfsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../../client/clock.ts';
import { DEVICE } from '../../fuse/hold/held.ts';
import type { HeldState } from '../../fuse/hold/state.ts';
import { abort, attach, clearStale, publish, unmount } from '../../fuse/mount.ts';
import { findMounts } from '../../fuse/mountinfo.ts';
import { DaemonError } from '../errors.ts';

export const NAME = { fsname: 'lapse', subtype: 'lapse' } as const;
/** statfs(2) */
const TMPFS_MAGIC = 0x01021994;
/** Milliseconds. */
const DEADLINE_MS = { mount: 5000, unmount: 1500 } as const;

/** The directory of everything that only the server enters. */
export function runDirectory(control: string): string {
  return dirname(control);
}

/** Its parents are for everybody: the public place may stand there, too. */
export function makeRunDirectory(control: string): string {
  const run = runDirectory(control);
  mkdirSync(dirname(run), { recursive: true, mode: 0o755 });
  if (!existsSync(run)) mkdirSync(run);
  chmodSync(run, 0o700);
  return run;
}

/** Whether it is on a tmpfs, which waits for no disk. */
export function isInMemory(directory: string): boolean {
  return statfsSync(directory).type === TMPFS_MAGIC;
}

/** Makes a mount point free: of what a server that died left there, and of nothing else. */
export async function clear(directory: string, clock: Clock): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 }).catch(ignoreDeadMount);
  await clearStale(directory, { subtype: NAME.subtype, signal: clock.deadline(DEADLINE_MS.mount) });
}

/** A crashed server's mount makes the directory itself unreadable; `clearStale` is about to take it away. */
function ignoreDeadMount(error: unknown): void {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOTCONN' && code !== 'EEXIST') throw error;
}

export class Places {
  readonly private: string;
  readonly public: string;
  readonly #clock: Clock;
  readonly #state: HeldState;

  constructor(run: string, directory: string, state: HeldState, clock: Clock) {
    this.private = join(run, 'fs');
    this.public = directory;
    this.#state = state;
    this.#clock = clock;
  }

  /** Both free, the device at the private one. It must be served before anybody may touch it. */
  async attach(): Promise<void> {
    for (const directory of [this.public, this.private]) await clear(directory, this.#clock);
    await attach(DEVICE, {
      directory: this.private,
      ...NAME,
      readOnly: false,
      signal: this.#mountDeadline(),
    });
  }

  /** Once it is served. */
  async publish(): Promise<void> {
    await publish({ from: this.private, to: this.public, signal: this.#mountDeadline() });
    await this.#state.saveMounts([this.public, this.private]);
  }

  /** Asks the kernel's list, not the mounts. */
  async stand(): Promise<boolean> {
    const found = await findMounts([this.private, this.public]);
    return found.every((mount) => mount?.type === `fuse.${NAME.subtype}`);
  }

  /** @throws DaemonError mount-gone */
  async expectToStand(): Promise<void> {
    if (!(await this.stand())) throw new DaemonError('mount-gone', 'the mount was taken away');
  }

  /** Whoever still waits for an answer gets ENOTCONN or ECONNABORTED. */
  async detach(): Promise<void> {
    const signal = this.#clock.deadline(DEADLINE_MS.unmount);
    await unmount(this.public, signal);
    await abort(this.private, signal);
  }

  #mountDeadline(): AbortSignal {
    return this.#clock.deadline(DEADLINE_MS.mount);
  }
}
