// A process that watches files of the mount (inotify), in a control group that is registered as a workload: inotifywait,
// or Node's fs.watch. What it hears is taken in order, so that an event which nobody expected is seen by the next that
// takes. Paths are meant from the mount, and told so.
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { until } from './lapsed.ts';
import { kill, start } from './lapsed-inside.ts';
import type { Probe } from './lapsed-probe.ts';

/** Not what readers cause: OPEN, ACCESS, CLOSE_NOWRITE. */
const EVENTS = 'modify,attrib,close_write,moved_from,moved_to,create,delete,delete_self,move_self,unmount';

/** Prints the directory of each event and its name, and reads what is there then. */
const READ_UPON_EVENT = `inotifywait -m --format %f -e close_write,delete "$1" |
  while read -r name; do printf '%s %s\\n' "$name" "$(LC_ALL=C cat "$1/$name" 2>&1)"; done`;

const FS_WATCH = `
  const { readFileSync, watch } = require('node:fs');
  const read = (path) => { try { return readFileSync(path, 'utf8'); } catch ({ code }) { return code; } };
  for (const path of process.argv.slice(2))
    watch(path, (event, name) =>
      console.log(path, event, name, read(path.endsWith('/' + name) ? path : path + '/' + name)));
  console.error('Watches established.');`;

export class Watcher implements AsyncDisposable {
  readonly #child;
  readonly #ready: Promise<void>;
  readonly #lines: string[] = [];
  #taken = 0;

  private constructor(probe: Probe, mount: string, command: readonly string[]) {
    this.#child = start(probe, command);
    this.#ready = established(this.#child.stderr);
    createInterface({ input: this.#child.stdout }).on('line', (line) =>
      this.#lines.push(line.replaceAll(`${mount}/`, '').replace('/ ', ' ').replace(',CLOSE', '').trimEnd()),
    );
  }

  /** Tells the path that is watched, the event, and in a directory the name. */
  static inotify(probe: Probe, mount: string, ...paths: readonly string[]): Promise<Watcher> {
    const watched = paths.map((path) => join(mount, path));
    const command = ['inotifywait', '-m', '--format', '%w %e %f', '-e', EVENTS, ...watched];
    return Watcher.#start(probe, mount, command);
  }

  /** Tells the name of a file that was written or deleted in this directory, and what is read there upon that. */
  static reading(probe: Probe, mount: string, directory: string): Promise<Watcher> {
    return Watcher.#start(probe, mount, ['sh', '-c', READ_UPON_EVENT, 'sh', join(mount, directory)]);
  }

  /** Tells the path that is watched, the kind of event, the name, and what is read there upon that. */
  static node(probe: Probe, mount: string, ...paths: readonly string[]): Promise<Watcher> {
    const watched = paths.map((path) => join(mount, path));
    return Watcher.#start(probe, mount, [process.execPath, '-e', FS_WATCH, 'watch', ...watched]);
  }

  static async #start(probe: Probe, mount: string, command: readonly string[]): Promise<Watcher> {
    const watcher = new Watcher(probe, mount, command);
    await watcher.#ready;
    return watcher;
  }

  /** The next so many events, when they have come. */
  async next(count: number): Promise<readonly string[]> {
    const end = this.#taken + count;
    const late = (error: Error): never => {
      throw new Error(`${error.message}; there were: ${this.#lines.slice(this.#taken).join(' | ')}`);
    };
    await until(`${count} events`, () => Promise.resolve(this.#lines.length >= end || undefined)).catch(late);
    const lines = this.#lines.slice(this.#taken, end);
    this.#taken = end;
    return lines;
  }

  /** Whether there is an event that nobody took. */
  get heardMore(): boolean {
    return this.#lines.length > this.#taken;
  }

  /** The events up to this one, when it has come. */
  async upTo(line: string): Promise<readonly string[]> {
    const at = await until(line, () => {
      const found = this.#lines.indexOf(line, this.#taken);
      return Promise.resolve(found < 0 ? undefined : found);
    });
    return this.next(at + 1 - this.#taken);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await kill(this.#child);
  }
}

async function established(errors: Readable): Promise<void> {
  const said: string[] = [];
  for await (const line of createInterface({ input: errors })) {
    said.push(line);
    if (line === 'Watches established.') return;
  }
  throw new Error(`it does not watch: ${said.join('\n')}`);
}
