// A control group in the unified hierarchy, for everything that one host starts: it is how all of that can be ended, whoever
// started it. With it go the groups below.
import { mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../client/clock.ts';
import { parseMountinfo } from '../fuse/mountinfo.ts';

/** A group stays busy for a moment after its last process has ended. */
const PATIENCE = 100;
const PAUSE_MS = 20;

export class ControlGroup implements AsyncDisposable {
  readonly directory: string;
  readonly #clock: Clock;

  private constructor(directory: string, clock: Clock) {
    this.directory = directory;
    this.#clock = clock;
  }

  static async make(name: string, clock: Clock): Promise<ControlGroup> {
    const mounts = parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'));
    const unified = mounts.find(({ type }) => type === 'cgroup2');
    if (!unified) throw new Error('a drill needs the unified control group hierarchy (cgroup2)');
    const directory = join(unified.directory, name);
    await mkdir(directory);
    return new ControlGroup(directory, clock);
  }

  /** As /proc/PID/cgroup says it of a process in it. */
  get line(): string {
    return `0::/${this.directory.split('/').at(-1) ?? ''}`;
  }

  /** Words before a command: it runs in this group. */
  get enter(): readonly string[] {
    return ['sh', '-c', 'echo $$ >"$1" && shift && exec "$@"', 'sh', join(this.directory, 'cgroup.procs')];
  }

  /** Ends whoever is in it or below. */
  async [Symbol.asyncDispose](): Promise<void> {
    await writeFile(join(this.directory, 'cgroup.kill'), '1').catch(() => undefined);
    await this.#remove(this.directory);
  }

  async #remove(directory: string): Promise<void> {
    for (const entry of await readdir(directory, { withFileTypes: true }))
      if (entry.isDirectory()) await this.#remove(join(directory, entry.name));
    for (let attempt = 0; ; attempt++) {
      try {
        await rmdir(directory);
        return;
      } catch (error) {
        if (attempt === PATIENCE) throw error;
        await this.#clock.sleep(PAUSE_MS);
      }
    }
  }
}
