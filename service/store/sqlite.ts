// The embedded store: one SQLite file in WAL mode with synchronous=FULL, so that a commit has reached the disk
// before it returns. The file is locked for as long as it is open; a second process is refused. The caller sees to
// it that the directory is private.
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { LapseError } from '../../manifest/errors.ts';
import { ServiceError } from '../errors.ts';
import type { Change, Commit, Store, Stored } from './store.ts';

const SCHEMA_VERSION = 1;
const SCHEMA = `
  CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL) STRICT;
  CREATE TABLE change (revision INTEGER, key TEXT, PRIMARY KEY (revision, key)) STRICT, WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** How many commits back a stream can resume. */
const CHANGE_LOG = 1000;

/** @throws ServiceError store-locked, store-unsupported, store-failed */
export function openSqliteStore(path: string, changeLog = CHANGE_LOG): Store {
  let db: DatabaseSync | undefined;
  try {
    // SQLite would create the file with the umask's mode; its journal inherits whatever mode the file has.
    closeSync(openSync(path, 'a', 0o600));
    db = new DatabaseSync(path, { timeout: 0 });
    prepareDatabase(db);
    return new SqliteStore(db, changeLog);
  } catch (error) {
    db?.close();
    throw storeError(error);
  }
}

function prepareDatabase(db: DatabaseSync): void {
  // Exclusive before WAL: the lock is then taken now and kept, and no shared-memory file is made.
  db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
  db.exec('BEGIN IMMEDIATE');
  const version = db.prepare('PRAGMA user_version').get()?.['user_version'];
  if (version === 0) db.exec(SCHEMA);
  else if (version !== SCHEMA_VERSION) {
    throw new ServiceError(
      'store-unsupported',
      `the store has schema ${String(version)}, not ${SCHEMA_VERSION}`,
    );
  }
  db.exec('COMMIT');
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
      this.#transaction(() => {
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

  #transaction(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#db.exec('COMMIT');
    } catch (error) {
      // After some failures (a full disk) SQLite has rolled back by itself.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
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

/** SQLite answers at once; whoever calls gets a promise all the same, and a typed error. */
function settle<T>(work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    try {
      resolve(work());
    } catch (error) {
      reject(storeError(error));
    }
  });
}

const SQLITE_BUSY = 5;

function storeError(error: unknown): LapseError {
  if (error instanceof LapseError) return error as LapseError;
  if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) {
    return new ServiceError('store-locked', 'another process has this store open', { cause: error });
  }
  return new ServiceError('store-failed', 'the store could not be read or written', { cause: error });
}
