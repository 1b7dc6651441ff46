// What processes that watch their view (inotify) have been told, and so what they have to be told next. A view counts
// as watched while its workload is registered: the names that are there when it comes are no news to anybody. What
// could not be told stays in the difference and is told with the next table.
import type { Workload } from '../manifest/names.ts';
import type { ServedFile, Table } from './table.ts';

export interface News {
  readonly arriving: readonly ServedFile[];
  readonly departing: readonly ServedFile[];
  /** The same name leads to another file now. */
  readonly replaced: readonly Replaced[];
  /** The same file, as it is now: with another owner or mode. */
  readonly altered: readonly ServedFile[];
}

export interface Replaced {
  readonly before: ServedFile;
  readonly after: ServedFile;
}

export class Watchers {
  #watched: ReadonlySet<Workload> = new Set();
  readonly #told = new Map<string, ServedFile>();

  /** The names that an earlier server told of, in the views that were watched. */
  constructor(told: Table) {
    this.#watched = new Set(told.groups.values());
    for (const file of told.files) if (file.named && this.#watched.has(file.view)) this.note(file);
  }

  news({ files, groups }: Table): News {
    const watched = new Set(groups.values());
    const named = files.filter((file) => file.named && watched.has(file.view));
    const names = new Set(named.map(nameOf));
    for (const file of this.#told.values()) if (!watched.has(file.view)) this.forget(file);
    for (const file of named) if (!this.#watched.has(file.view)) this.note(file);
    this.#watched = watched;
    const known = named.flatMap((after) => {
      const before = this.#told.get(nameOf(after));
      return before ? [{ before, after }] : [];
    });
    return {
      arriving: this.arriving({ files: named }),
      departing: [...this.#told].filter(([name]) => !names.has(name)).map(([, file]) => file),
      replaced: known.filter(({ before, after }) => before.node !== after.node),
      altered: known.filter(isAltered).map(({ after }) => after),
    };
  }

  /** Names of the views that are watched already, which nobody has been told of. Changes nothing. */
  arriving({ files }: Pick<Table, 'files'>): readonly ServedFile[] {
    return files.filter(
      (file) => file.named && this.#watched.has(file.view) && !this.#told.has(nameOf(file)),
    );
  }

  /** They know this name, and what it leads to. */
  note(file: ServedFile): void {
    this.#told.set(nameOf(file), file);
  }

  /** They know that the name is gone. */
  forget(file: ServedFile): void {
    this.#told.delete(nameOf(file));
  }
}

function isAltered({ before, after }: Replaced): boolean {
  const isSame = (['uid', 'gid', 'mode'] as const).every((field) => before[field] === after[field]);
  return before.node === after.node && !isSame;
}

/** What tells one name from another. */
export function nameOf({ view, file }: ServedFile): string {
  return `${view}/${file}`;
}
