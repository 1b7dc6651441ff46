// A control group of its own for a test, in the unified hierarchy: mounted alone (version 2) or beside the others
// (hybrid).
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseMountinfo } from '../../fuse/mountinfo.ts';

export class Cgroup implements AsyncDisposable {
  readonly directory: string;
  readonly #below: Cgroup[] = [];

  private constructor(directory: string) {
    mkdirSync(directory);
    this.directory = directory;
  }

  static make(): Cgroup {
    // No number: what a run that was killed has left behind has one, too.
    return new Cgroup(join(hierarchy(), `lapse-test-${randomBytes(6).toString('hex')}`));
  }

  get name(): string {
    return basename(this.directory);
  }

  /** Writing a process id (0 for one's own) here moves the process. */
  get procs(): string {
    return join(this.directory, 'cgroup.procs');
  }

  /** A group inside this one. */
  below(): Cgroup {
    const group = new Cgroup(join(this.directory, `below-${this.#below.length}`));
    this.#below.push(group);
    return group;
  }

  /** Ends whoever is in it. A group stays busy for a moment after its last process has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const group of this.#below) await group[Symbol.asyncDispose]();
    for (let attempt = 0; ; attempt++) {
      for (const pid of readFileSync(this.procs, 'utf8').split('\n').filter(Boolean)) end(Number(pid));
      try {
        rmdirSync(this.directory);
        return;
      } catch (error) {
        if (attempt === 500) throw error;
        await sleep(20);
      }
    }
  }
}

/** It may have ended by itself. */
function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function hierarchy(): string {
  const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  const unified = mounts.find(({ type }) => type === 'cgroup2');
  if (!unified) throw new Error('these tests need the unified control group hierarchy');
  return unified.directory;
}
