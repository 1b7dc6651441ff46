// Puts one table after another before the kernel. A withdrawal is in effect when three steps are done: the serving
// thread has the table without it, the kernel has forgotten pages and names, the moment is noted. Then, in no hurry,
// whoever watches is told; a name that is new appears in that moment. What the kernel may have been told is on record
// before it is, so that the server after this one can take it back.
import type { Workload } from '../manifest/names.ts';
import type { Effects } from './effects.ts';
import type { Server } from './server.ts';
import { NOTHING_YET } from './table.ts';
import type { ServedFile, Table } from './table.ts';
import type { News, Replaced, Watchers } from './watchers.ts';
import { withdraw, withdrawDead } from './withdrawal.ts';
import type { Dead } from './withdrawal.ts';

/** How many files of a table are held, so that who watches the file itself hears; of the rest only directories do. */
const MOST_HELD = 64;
/** Announced at once; between two such lots it is looked whether something more urgent waits. */
const LOT = 16;

/** Tells whoever watches; `hurry` is asked whether something more urgent waits. */
export type Announce = (hurry: () => boolean) => Promise<void>;

/** Where the next server finds what the kernel may have been told. */
export interface Record {
  /** Adds what a table shows; resolves when it is written. */
  extend(table: Table): Promise<void>;
  /** What was told and is not in this table has been taken back. */
  reduce(table: Table): Promise<void>;
}

export interface PresenterParts {
  readonly server: Server;
  readonly effects: Effects;
  readonly watchers: Watchers;
  readonly record: Record;
  /** What the kernel may have been told by an earlier server. */
  readonly told: Table;
}

export class Presenter {
  readonly #parts: PresenterParts;
  #told: Table;
  #inEffect: Table = NOTHING_YET;
  /** Views whose watchers in the style of Kubernetes have yet to hear of a change. */
  readonly #changed = new Set<Workload>();

  constructor(parts: PresenterParts) {
    this.#parts = parts;
    this.#told = parts.told;
  }

  /**
   * Shows what is there so far. Nothing is withdrawn by it: what is missing may still come. So nothing is in effect by it
   * either: the kernel may still lead a name to where it led before. What watchers have yet to hear of waits for that, or
   * it would be there, and be gone again until they do; a view that comes now is watched from the first settled table on.
   */
  async unsettled(table: Table): Promise<void> {
    const { server, record, watchers } = this.#parts;
    await record.extend(table);
    await server.show({ ...NOTHING_YET, ...table, arriving: nodesOf(watchers.arriving(table)) });
    this.#told = both(this.#told, table);
  }

  /**
   * Resolves when everything that is not in this table is gone for everybody; then `announce` tells who watches, and may
   * be cut short: what it did not get to is told with the next table. The kernel forgets what is dead while the table is on
   * its way to the serving thread.
   */
  async settled(table: Table, dead?: Dead): Promise<Announce> {
    const { server, record, watchers } = this.#parts;
    const news = watchers.news(table);
    await record.extend(table);
    const held = await this.#hold(news.replaced.slice(0, MOST_HELD));
    const shown = server.show({
      ...table,
      settled: true,
      arriving: nodesOf(news.arriving),
      // What is held is told of, even if no overlap keeps it.
      departing: [...news.departing, ...held.map(({ file }) => file.before)],
    });
    await Promise.all([
      dead && withdrawDead(server.invalidator, this.#told, dead),
      shown.then(() => this.#parts.effects.denied()),
    ]);
    await withdraw(server.invalidator, this.#told, table, dead);
    this.#told = table;
    this.#note(without(table, news.arriving));
    return async (hurry) => {
      // That the record says more for a moment only costs time at a next start.
      await record.reduce(table);
      await this.#announce(table, news, held, hurry);
    };
  }

  #hold(files: readonly Replaced[]): Promise<readonly Held[]> {
    const { announcer } = this.#parts.server;
    return Promise.all(
      files.map(async (file) => {
        const { view, file: name, size } = file.before;
        return { file, tell: await announcer.replacing(view, name, size) };
      }),
    );
  }

  async #announce(
    table: Table,
    { arriving, departing, replaced, altered }: News,
    held: readonly Held[],
    hurry: () => boolean,
  ): Promise<void> {
    const { server, watchers } = this.#parts;
    const { announcer } = server;
    for (const { view } of [...arriving, ...departing, ...replaced.map(({ after }) => after), ...altered])
      this.#changed.add(view);
    for (const file of altered) watchers.note(file);
    // Every file that is held has to be let go, and is told of by that.
    const heard = new Set<Replaced>();
    await Promise.all(
      held.map(async ({ file, tell }) => {
        if (!(await tell())) return;
        heard.add(file);
        watchers.note(file.after);
      }),
    );
    const unmade: ServedFile[] = [];
    const steps = [
      ...departing.map((file) => async () => {
        await announcer.deleted(file.view, file.file);
        watchers.forget(file);
      }),
      ...arriving.map((file) => async () => {
        if (!(await announcer.created(file.view, file.file))) unmade.push(file);
        watchers.note(file);
      }),
      ...replaced.flatMap((file) => (heard.has(file) ? [] : [() => this.#replacedByName(file.after)])),
      ...[...this.#changed].map((view) => async () => {
        await announcer.switched(view);
        this.#changed.delete(view);
      }),
    ];
    // One lot always, or names would never come while something happens all the time.
    for (let at = 0; at < steps.length && (at === 0 || !hurry()); at += LOT) {
      await Promise.all(steps.slice(at, at + LOT).map((step) => step()));
    }
    // A name that could not be made in front of watchers is shown without their knowing.
    const waiting = watchers.news(table).arriving;
    if (unmade.length > 0) {
      await server.show({ ...table, settled: true, arriving: nodesOf(waiting), departing: [] });
    }
    this.#note(without(table, waiting));
  }

  /** The new file stands for the old one, which was not held: its directory hears the same. */
  async #replacedByName(file: ServedFile): Promise<void> {
    const { server, watchers } = this.#parts;
    const tell = await server.announcer.replacing(file.view, file.file, file.size);
    await tell();
    watchers.note(file);
  }

  #note(table: Table): void {
    this.#parts.effects.shown(this.#inEffect, table);
    this.#inEffect = table;
  }
}

interface Held {
  readonly file: Replaced;
  readonly tell: () => Promise<boolean>;
}

function nodesOf(files: readonly ServedFile[]): ReadonlySet<number> {
  return new Set(files.map(({ node }) => node));
}

/** What may be known of either: the same file in two states, if it was told in both. */
function both(old: Table, next: Table): Table {
  const known = new Set(next.files.map(stateOf));
  return {
    views: [...old.views, ...next.views],
    files: [...old.files.filter((file) => !known.has(stateOf(file))), ...next.files],
    groups: new Map([...old.groups, ...next.groups]),
  };
}

function stateOf({ node, view, file, named, size, uid, gid, mode, mtime }: ServedFile): string {
  return [node, view, file, named, size, uid, gid, mode, mtime].join(' ');
}

function without(table: Table, files: readonly ServedFile[]): Table {
  const left = nodesOf(files);
  return { ...table, files: table.files.filter(({ node }) => !left.has(node)) };
}
