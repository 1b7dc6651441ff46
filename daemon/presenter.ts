// Puts one table after another before the kernel. A withdrawal is in effect when three steps are done: the serving
// thread has the table without it, the kernel has forgotten pages and names, the moment is noted. Then, in no hurry,
// whoever watches is told; a name that is new appears in that moment. What the kernel may have been told is on record
// before it is, so that the server after this one can take it back.
import type { Workload } from '../manifest/names.ts';
import type { Effects } from './effects.ts';
import type { Server } from './server.ts';
import { NOTHING_YET } from './table.ts';
import type { ServedFile, Table } from './table.ts';
import { nameOf } from './watchers.ts';
import type { News, Watchers } from './watchers.ts';
import { withdraw } from './withdrawal.ts';

/** How many files of a table are held and announced as replaced; of the rest only directories hear. */
const MOST_REPLACED = 64;
/** Announced at once; between two such lots it is looked whether something more urgent waits. */
const LOT = 16;

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

  constructor(parts: PresenterParts) {
    this.#parts = parts;
    this.#told = parts.told;
  }

  /** Shows what is there so far. Nothing is withdrawn by it: what is missing may still come. */
  async unsettled(table: Table): Promise<void> {
    const { server, record } = this.#parts;
    await record.extend(table);
    await server.show({ ...NOTHING_YET, ...table });
    this.#told = both(this.#told, table);
    this.#note(table);
  }

  /**
   * Resolves when everything that is not in this table is gone for everybody; then `announce` tells who watches, and may
   * be cut short: what it did not get to is told with the next table.
   */
  async settled(table: Table): Promise<(hurry: () => boolean) => Promise<void>> {
    const { server, record, watchers } = this.#parts;
    const news = watchers.news(table);
    await record.extend(table);
    const replaced = await this.#hold(news.replaced.slice(0, MOST_REPLACED));
    await server.show({
      ...table,
      settled: true,
      arriving: new Set(news.arriving.map(({ node }) => node)),
      departing: news.departing,
    });
    await withdraw(server.invalidator, this.#told, table);
    this.#told = table;
    this.#note(without(table, news.arriving));
    await record.reduce(table);
    return (hurry) => this.#announce(table, news, replaced, hurry);
  }

  #hold(files: readonly ServedFile[]): Promise<readonly Told[]> {
    const { announcer } = this.#parts.server;
    return Promise.all(
      files.map(async (file) => {
        const tell = await announcer.replacing(file.view, file.file, file.size);
        return { file, tell };
      }),
    );
  }

  async #announce(
    table: Table,
    { arriving, departing, replaced }: News,
    held: readonly Told[],
    hurry: () => boolean,
  ): Promise<void> {
    const { server, watchers } = this.#parts;
    const { announcer } = server;
    const now = new Map(table.files.filter(({ named }) => named).map((file) => [nameOf(file), file]));
    // Every file that is held has to be let go, and is told of by that.
    await Promise.all(held.map(({ tell }) => tell()));
    for (const file of replaced) watchers.note(now.get(nameOf(file)) ?? file);
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
      ...changedViews({ arriving, departing, replaced }).map((view) => async () => {
        await announcer.switched(view);
      }),
    ];
    for (let at = 0; at < steps.length && !hurry(); at += LOT) {
      await Promise.all(steps.slice(at, at + LOT).map((step) => step()));
    }
    // A name that could not be made in front of watchers is shown without their knowing.
    const waiting = watchers.news(table).arriving;
    if (unmade.length > 0) {
      const stillArriving = new Set(waiting.map(({ node }) => node));
      await server.show({ ...table, settled: true, arriving: stillArriving, departing: [] });
    }
    this.#note(without(table, waiting));
  }

  #note(table: Table): void {
    this.#parts.effects.shown(this.#inEffect, table);
    this.#inEffect = table;
  }
}

interface Told {
  readonly file: ServedFile;
  readonly tell: () => Promise<boolean>;
}

/** What may be known of either. */
function both(old: Table, next: Table): Table {
  const known = new Set(next.files.map(({ node }) => node));
  return {
    views: [...old.views, ...next.views],
    files: [...old.files.filter(({ node }) => !known.has(node)), ...next.files],
    groups: new Map([...old.groups, ...next.groups]),
  };
}

function without(table: Table, files: readonly ServedFile[]): Table {
  const left = new Set(files.map(({ node }) => node));
  return { ...table, files: table.files.filter(({ node }) => !left.has(node)) };
}

function changedViews(news: News): readonly Workload[] {
  return [
    ...new Set(Object.values(news).flatMap((files: readonly ServedFile[]) => files.map(({ view }) => view))),
  ];
}
