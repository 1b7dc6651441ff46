// A control group of its own for a drill's probe, in the unified hierarchy (mounted alone, or beside those of version 1): below
// the group of this process where that can be, else at the root. By it the probe is known as a workload, and found and
// ended however many processes it is.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseMountinfo } from '../../fuse/mountinfo.ts';
import { DaemonError } from '../errors.ts';
import type { Cgroup } from '../identity/cgroup.ts';

const PREFIX = 'lapse-probe-';

/** Where the unified hierarchy is mounted, and the groups in it that may hold one of ours, the best one first. */
export interface Hierarchy {
  readonly directory: string;
  readonly parents: readonly string[];
}

/** From the texts of /proc/self/mountinfo and /proc/self/cgroup. @throws DaemonError probe-failed */
export function findHierarchy(mountinfo: string, cgroup: string): Hierarchy {
  const unified = parseMountinfo(mountinfo).find(({ type }) => type === 'cgroup2');
  const own = /^0::(\/.*)$/m.exec(cgroup)?.[1];
  if (!unified || own === undefined)
    throw new DaemonError('probe-failed', 'a probe needs the unified hierarchy of control groups');
  // A group outside of what this process can see.
  const isVisible = own !== '/' && !own.includes('/..');
  return { directory: unified.directory, parents: isVisible ? [own, '/'] : ['/'] };
}

export class ProbeGroup {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** @throws DaemonError probe-failed */
  static make(hierarchy = ownHierarchy()): ProbeGroup {
    const name = `${PREFIX}${randomBytes(6).toString('hex')}`;
    const failures: unknown[] = [];
    for (const parent of hierarchy.parents) {
      const group = new ProbeGroup(join(hierarchy.directory, parent, name));
      try {
        mkdirSync(group.directory);
        return group;
      } catch (error) {
        failures.push(error);
      }
    }
    throw new DaemonError('probe-failed', 'no control group can be made for a probe', {
      cause: new AggregateError(failures),
    });
  }

  /** One that an earlier server made; undefined for a directory that is none. */
  static known(directory: string): ProbeGroup | undefined {
    return basename(directory).startsWith(PREFIX) ? new ProbeGroup(directory) : undefined;
  }

  get name(): string {
    return basename(this.directory);
  }

  /** By which its processes are known as a workload. */
  cgroup({ directory } = ownHierarchy()): Cgroup {
    return `:${this.directory.slice(directory.length)}`;
  }

  /** Writing a process id here moves the process. */
  get procs(): string {
    return join(this.directory, 'cgroup.procs');
  }

  /** Those in it that live; none when it is gone. */
  get members(): readonly number[] {
    try {
      return readFileSync(this.procs, 'utf8').split('\n').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  }

  /** Ends whoever is in it. */
  kill(): void {
    for (const pid of this.members) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  /** Whether it is gone; it is busy for a moment after its last process has ended. */
  remove(): boolean {
    try {
      rmdirSync(this.directory);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOENT';
    }
  }
}

function ownHierarchy(): Hierarchy {
  return findHierarchy(
    readFileSync('/proc/self/mountinfo', 'utf8'),
    readFileSync('/proc/self/cgroup', 'utf8'),
  );
}
