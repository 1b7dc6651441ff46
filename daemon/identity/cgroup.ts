// Who is calling, by the control group that the kernel says the thread is in. The caller is blocked until it gets
// its answer, so what is read here cannot change meanwhile. Descriptors of /proc/TID/cgroup are kept (half the
// price of opening one); answers never are. A kept descriptor of a dead thread answers ESRCH even when its number
// was given out again, so it cannot speak for another.
import { closeSync, openSync, readSync } from 'node:fs';
import { LRUCache } from 'lru-cache';

/** A control group as this host sees it: `CONTROLLER:PATH`, never the root. */
export type Cgroup = string;

/** `0::` (the unified hierarchy) speaks first; on hosts of version 1 systemd's own, then any that containers get. */
const ORDER = ['', 'name=systemd', 'pids', 'devices', 'freezer', 'memory'];

/** The group in the text of /proc/PID/cgroup; undefined when the process is in no group of its own. */
export function parseCgroup(text: string): Cgroup | undefined {
  const paths = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) paths.set(controller, path);
  }
  for (const controller of ORDER) {
    const path = paths.get(controller);
    if (path !== undefined && path !== '/' && !path.includes('/..')) return `${controller}:${path}`;
  }
  return undefined;
}

export class CgroupReader {
  readonly #text = Buffer.alloc(4096);
  readonly #files = new LRUCache<number, number>({ max: 256, dispose: (file) => closeSync(file) });

  /** Undefined for a thread that is gone, not visible from here (0), or in no group of its own. */
  read(tid: number): Cgroup | undefined {
    if (tid <= 0) return undefined;
    const text = this.#kept(tid) ?? this.#fresh(tid);
    return text === undefined ? undefined : parseCgroup(text);
  }

  #kept(tid: number): string | undefined {
    const file = this.#files.get(tid);
    if (file === undefined) return undefined;
    const text = this.#readFile(file);
    if (text === undefined) this.#files.delete(tid);
    return text;
  }

  #fresh(tid: number): string | undefined {
    let file: number;
    try {
      file = openSync(`/proc/${tid}/cgroup`, 'r');
    } catch {
      return undefined;
    }
    this.#files.set(tid, file);
    return this.#readFile(file);
  }

  /** Undefined for an error, ESRCH above all, and for a text too long to be whole. */
  #readFile(file: number): string | undefined {
    try {
      const length = readSync(file, this.#text, 0, this.#text.length, 0);
      return length < this.#text.length ? this.#text.toString('latin1', 0, length) : undefined;
    } catch {
      return undefined;
    }
  }
}
