// How the service opens a SQLite file: in WAL mode with synchronous=FULL, so that a commit has reached the disk before it
// returns; locked for as long as it is open, so that a second process is refused; with a mode for its owner only. The
// caller sees to it that the directory is private.
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { LapseError } from '../../manifest/errors.ts';
import { ServiceError } from '../errors.ts';

const SQLITE_BUSY = 5;

/** `schema` makes an empty file one of that version. @throws ServiceError store-locked, store-unsupported, store-failed */
export function openDatabase(path: string, schema: string, version: number): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    // SQLite would create the file with the umask's mode; its journal inherits whatever mode the file has.
    closeSync(openSync(path, 'a', 0o600));
    db = new DatabaseSync(path, { timeout: 0 });
    prepare(db, schema, version);
    return db;
  } catch (error) {
    db?.close();
    throw storeError(error);
  }
}

function prepare(db: DatabaseSync, schema: string, wanted: number): void {
  // Exclusive before WAL: the lock is then taken now and kept, and no shared-memory file is made.
  db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
  db.exec('BEGIN IMMEDIATE');
  const version = db.prepare('PRAGMA user_version').get()?.['user_version'];
  if (version === 0) db.exec(`${schema}; PRAGMA user_version = ${wanted}`);
  else if (version !== wanted) {
    throw new ServiceError('store-unsupported', `the store has schema ${String(version)}, not ${wanted}`);
  }
  db.exec('COMMIT');
}

/** All of `work` is committed, or nothing. */
export function transaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    // After some failures (a full disk) SQLite has rolled back by itself.
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** SQLite answers at once; whoever calls gets a promise all the same, and a typed error. */
export function settle<T>(work: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    try {
      resolve(work());
    } catch (error) {
      reject(storeError(error));
    }
  });
}

function storeError(error: unknown): LapseError {
  if (error instanceof LapseError) return error as LapseError;
  if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) {
    return new ServiceError('store-locked', 'another process has this store open', { cause: error });
  }
  return new ServiceError('store-failed', `the store could not be read or written: ${reasonOf(error)}`, {
    cause: error,
  });
}

/** SQLite's words for its own code, or the system's code: neither quotes what is stored. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  if ('errstr' in error) return String(error.errstr);
  return 'code' in error ? String(error.code) : 'unknown';
}
