// A control group of its own for a test, in the unified hierarchy: mounted alone (version 2) or beside the others
// (hybrid).
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseMountinfo } from '../../fuse/mountinfo.ts';

let made = 0;

export class Cgroup implements AsyncDisposable {
  readonly directory: string;
  readonly #below: Cgroup[] = [];

  private constructor(directory: string) {
    mkdirSync(directory);
    this.directory = directory;
  }

  static make(): Cgroup {
    made += 1;
    return new Cgroup(join(hierarchy(), `lapse-test-${process.pid}-${made}`));
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
      for (const pid of readFileSync(this.procs, 'utf8').split('\n').filter(Boolean)) {
        process.kill(Number(pid), 'SIGKILL');
      }
      try {
        rmdirSync(this.directory);
        return;
      } catch (error) {
        if (attempt === 100) throw error;
        await sleep(20);
      }
    }
  }
}

function hierarchy(): string {
  const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  const unified = mounts.find(({ type }) => type === 'cgroup2');
  if (!unified) throw new Error('these tests need the unified control group hierarchy');
  return unified.directory;
}
