// The embedded store: one SQLite file (`database.ts` says how it is opened), a table of entries and one of what each
// commit touched.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { ServiceError } from '../errors.ts';
import { openDatabase, settle, transaction } from './database.ts';
import type { Change, Commit, Store, Stored } from './store.ts';

const SCHEMA_VERSION = 1;
const SCHEMA = `
  CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) STRICT;
  CREATE TABLE change (revision INTEGER, key TEXT, PRIMARY KEY (revision, key)) STRICT, WITHOUT ROWID;
`;

/** How many commits back a stream can resume. */
const CHANGE_LOG = 1000;

/** @throws ServiceError store-locked, store-unsupported, store-failed */
export function openSqliteStore(path: string, changeLog = CHANGE_LOG): Store {
  return new SqliteStore(openDatabase(path, SCHEMA, SCHEMA_VERSION), changeLog);
}

class SqliteStore implements Store {
  readonly #db: DatabaseSync;
  readonly #changeLog: number;
  readonly #listeners = new Set<(change: Change) => void>();
  readonly #sql: Readonly<Record<'read' | 'write' | 'remove' | 'log' | 'trim' | 'changes', StatementSync>>;
  #newest: number;

  constructor(db: DatabaseSync, changeLog: number) {
    this.#db = db;
    this.#changeLog = changeLog;
    this.#newest = Number(
      db.prepare('SELECT coalesce(max(revision), 0) AS newest FROM change').get()?.['newest'],
    );
    this.#sql = {
      read: db.prepare('SELECT value, revision FROM entry WHERE key = ?'),
      write: db.prepare('INSERT OR REPLACE INTO entry (key, value, revision) VALUES (?, ?, ?)'),
      remove: db.prepare('DELETE FROM entry WHERE key = ?'),
      log: db.prepare('INSERT OR IGNORE INTO change (revision, key) VALUES (?, ?)'),
      trim: db.prepare('DELETE FROM change WHERE revision <= ?'),
      changes: db.prepare(
        'SELECT revision, key FROM change WHERE revision > ? AND revision <= ? ORDER BY revision',
      ),
    };
  }

  get(key: string): Promise<Stored | undefined> {
    return settle(() => this.#sql.read.get(key) as Stored | undefined);
  }

  commit(commit: Commit): Promise<number> {
    return settle(() => {
      const change = { revision: this.#newest + 1, keys: keysOf(commit) };
      transaction(this.#db, () => {
        this.#expect(commit);
        this.#apply(commit, change);
      });
      this.#newest = change.revision;
      for (const listener of this.#listeners) listener(change);
      return change.revision;
    });
  }

  changesSince(revision: number, limit: number): Promise<readonly Change[] | 'compacted'> {
    return settle(() => {
      if (revision > this.#newest || revision < this.#newest - this.#changeLog) return 'compacted';
      const rows = this.#sql.changes.all(revision, revision + limit) as { revision: number; key: string }[];
      const byRevision = Map.groupBy(rows, (row) => row.revision);
      return [...byRevision].map(([of, touched]) => ({ revision: of, keys: touched.map(({ key }) => key) }));
    });
  }

  watch(listener: (change: Change) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  close(): Promise<void> {
    return settle(() => this.#db.close());
  }

  #expect({ expect }: Commit): void {
    for (const { key, revision } of expect) {
      const found = Number(this.#sql.read.get(key)?.['revision'] ?? 0);
      if (found !== revision) throw new ServiceError('conflict', 'somebody else changed the realm meanwhile');
    }
  }

  #apply({ put, remove = [] }: Commit, { revision, keys }: Change): void {
    for (const { key, value } of put) this.#sql.write.run(key, value, revision);
    for (const key of remove) this.#sql.remove.run(key);
    for (const key of keys) this.#sql.log.run(revision, key);
    this.#sql.trim.run(revision - this.#changeLog);
  }
}

function keysOf({ put, remove = [] }: Commit): readonly string[] {
  return [...new Set([...put.map(({ key }) => key), ...remove])];
}
