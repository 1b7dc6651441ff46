// What comes in and is no part of the realm: receipts of hosts, requests to join, changes that wait for signatures, and
// reports of drills. A small database of its own beside the store (`database.ts` says how it is opened), so that neither waits for the other.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { StoredReceipt } from '../../manifest/realm/exchange.ts';
import type { KeptReport } from '../../manifest/realm/drill/kept-report.ts';
import { openDatabase, settle, transaction } from './database.ts';

const SCHEMA_VERSION = 3;
const SCHEMA = `
  CREATE TABLE receipt (id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT NOT NULL, kind TEXT NOT NULL, jws TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
  CREATE INDEX receipt_of_host ON receipt (host, kind, id);
  CREATE TABLE request (id TEXT PRIMARY KEY, name TEXT NOT NULL, keys TEXT NOT NULL, body TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
  CREATE TABLE pending (id TEXT PRIMARY KEY, role TEXT NOT NULL, at INTEGER NOT NULL, summary TEXT NOT NULL, body BLOB NOT NULL) STRICT;
  CREATE TABLE drill (id INTEGER PRIMARY KEY AUTOINCREMENT, drill TEXT NOT NULL UNIQUE, ended INTEGER NOT NULL, at INTEGER NOT NULL, jws TEXT NOT NULL) STRICT;
  CREATE INDEX drill_by_end ON drill (ended, id);
`;

/** Receipts that are kept of one host, and as many statements of drills: neither takes the place of the other. */
export const RECEIPTS_PER_HOST = 64;

/** What a host has posted. */
export interface PostedWord extends Omit<StoredReceipt, 'id'> {
  readonly kind: 'receipt' | 'statement';
}

/** A request to join: whose, with which keys, and as JSON; `at` in milliseconds since the epoch. */
export interface StoredRequest {
  readonly id: string;
  readonly name: string;
  readonly keys: string;
  readonly body: string;
  readonly at: number;
}

/** A change that waits for signatures: `role` is the first of its roles; `summary` and `body` are JSON. */
export interface StoredPending {
  readonly id: string;
  readonly role: string;
  readonly at: number;
  readonly summary: string;
  readonly body: Uint8Array;
}

/** A drill's report: of which drill, and when that ended and the report came; milliseconds since the epoch. */
export interface StoredDrill {
  readonly drill: string;
  readonly ended: number;
  readonly at: number;
  readonly jws: string;
}

/** How many changes may wait, how many of one role, and how many bytes of one role. */
export interface PendingRoom {
  readonly most: number;
  readonly mostOfRole: number;
  readonly bytesOfRole: number;
}

type Statement =
  | 'put'
  | 'trim'
  | 'after'
  | 'last'
  | 'ask'
  | 'asked'
  | 'expire'
  | 'evict'
  | 'answer'
  | 'propose'
  | 'crowd'
  | 'count'
  | 'waiting'
  | 'proposal'
  | 'forget'
  | 'keep'
  | 'known'
  | 'room'
  | 'shed'
  | 'kept'
  | 'lastKept';
type Sql = Readonly<Record<Statement, StatementSync>>;

/** Each method is durable when its promise resolves. @throws ServiceError store-failed */
export class Inbox {
  readonly #db: DatabaseSync;
  readonly #sql: Sql;

  /** @throws ServiceError store-locked, store-unsupported, store-failed */
  constructor(path: string) {
    const db = openDatabase(path, SCHEMA, SCHEMA_VERSION);
    this.#db = db;
    this.#sql = {
      put: db.prepare(
        'INSERT INTO receipt (host, kind, jws, at) SELECT :host, :kind, :jws, :at WHERE NOT EXISTS (SELECT 1 FROM receipt WHERE host = :host AND jws = :jws)',
      ),
      trim: db.prepare(
        'DELETE FROM receipt WHERE host = :host AND kind = :kind AND id <= (SELECT id FROM receipt WHERE host = :host AND kind = :kind ORDER BY id DESC LIMIT 1 OFFSET :kept)',
      ),
      after: db.prepare('SELECT id, host, jws, at FROM receipt WHERE id > ? ORDER BY id LIMIT ?'),
      last: db.prepare("SELECT coalesce(max(seq), 0) AS last FROM sqlite_sequence WHERE name = 'receipt'"),
      ask: db.prepare(
        'INSERT OR IGNORE INTO request (id, name, keys, body, at) VALUES (:id, :name, :keys, :body, :at)',
      ),
      asked: db.prepare('SELECT id, name, keys, body, at FROM request WHERE at > ? ORDER BY at, rowid'),
      expire: db.prepare('DELETE FROM request WHERE at <= ?'),
      evict: db.prepare(
        'DELETE FROM request WHERE id NOT IN (SELECT id FROM request ORDER BY at DESC, rowid DESC LIMIT ?)',
      ),
      answer: db.prepare('DELETE FROM request WHERE id = ?'),
      propose: db.prepare(
        'INSERT INTO pending (id, role, at, summary, body) VALUES (:id, :role, :at, :summary, :body) ON CONFLICT (id) DO UPDATE SET summary = :summary, body = :body',
      ),
      crowd: db.prepare(
        'DELETE FROM pending WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER newest AS nth, sum(length(body)) OVER newest AS bytes FROM pending WHERE role = :role WINDOW newest AS (ORDER BY at DESC, rowid DESC)) WHERE nth > :mostOfRole OR (nth > 1 AND bytes > :bytesOfRole))',
      ),
      count: db.prepare('SELECT count(*) AS count FROM pending'),
      waiting: db.prepare('SELECT summary FROM pending ORDER BY at, rowid'),
      proposal: db.prepare('SELECT id, role, at, summary, body FROM pending WHERE id = ?'),
      forget: db.prepare('DELETE FROM pending WHERE id = ?'),
      keep: db.prepare('INSERT INTO drill (drill, ended, at, jws) VALUES (:drill, :ended, :at, :jws)'),
      known: db.prepare('SELECT 1 FROM drill WHERE drill = ?'),
      room: db.prepare('SELECT count(*) AS count, min(ended) AS oldest FROM drill'),
      shed: db.prepare(
        'DELETE FROM drill WHERE id IN (SELECT id FROM drill ORDER BY ended DESC, id DESC LIMIT -1 OFFSET ?)',
      ),
      kept: db.prepare('SELECT id, jws, at FROM drill WHERE id > ? ORDER BY id LIMIT ?'),
      lastKept: db.prepare("SELECT coalesce(max(seq), 0) AS last FROM sqlite_sequence WHERE name = 'drill'"),
    };
  }

  /** In one commit; one that is there already is not stored twice. */
  putReceipts(words: readonly PostedWord[]): Promise<void> {
    return settle(() =>
      transaction(this.#db, () => {
        for (const { host, kind, jws, at } of words) this.#sql.put.run({ host, kind, jws, at });
        const heaps = new Map(words.map(({ host, kind }) => [`${host} ${kind}`, { host, kind }]));
        for (const heap of heaps.values()) this.#sql.trim.run({ ...heap, kept: RECEIPTS_PER_HOST });
      }),
    );
  }

  /** At most `most`, and no more once they hold `bytes`. */
  receiptsAfter(id: number, most: number, bytes: number): Promise<readonly StoredReceipt[]> {
    return settle(() => page(this.#sql.after, id, most, bytes) as readonly StoredReceipt[]);
  }

  /** The highest id that was ever given; 0 for none. */
  lastReceipt(): Promise<number> {
    return settle(() => Number(this.#sql.last.get()?.['last']));
  }

  /** Forgets those from up to `since`, and all but the newest `most`. @returns false, if one of that id is there */
  putRequest(request: StoredRequest, since: number, most: number): Promise<boolean> {
    return settle(() =>
      transaction(this.#db, () => {
        this.#sql.expire.run(since);
        const isNew = this.#sql.ask.run({ ...request }).changes === 1;
        if (isNew) this.#sql.evict.run(most);
        return isNew;
      }),
    );
  }

  /** Those that came after `since`, oldest first. */
  requests(since: number): Promise<readonly StoredRequest[]> {
    return settle(() => this.#sql.asked.all(since) as unknown as readonly StoredRequest[]);
  }

  dropRequests(ids: readonly string[]): Promise<void> {
    return settle(() => transaction(this.#db, () => ids.forEach((id) => this.#sql.answer.run(id))));
  }

  /**
   * Stores a change, or what became of one that is there; of one role, the oldest make room.
   * @returns false, and nothing is stored, when as many wait as may
   */
  putPending(pending: StoredPending, { most, ...ofRole }: PendingRoom): Promise<boolean> {
    const { id, role } = pending;
    return settle(() =>
      transaction(this.#db, () => {
        const isNew = this.#sql.proposal.get(id) === undefined;
        this.#sql.propose.run({ ...pending });
        if (isNew) this.#sql.crowd.run({ role, ...ofRole });
        if (Number(this.#sql.count.get()?.['count']) <= most) return true;
        this.#sql.forget.run(id);
        return false;
      }),
    );
  }

  /** The summaries of all that wait, oldest first. */
  pending(): Promise<readonly string[]> {
    return settle(() => this.#sql.waiting.all().map(({ summary }) => String(summary)));
  }

  findPending(id: string): Promise<StoredPending | undefined> {
    return settle(() => this.#sql.proposal.get(id) as unknown as StoredPending | undefined);
  }

  dropPending(ids: readonly string[]): Promise<void> {
    return settle(() => transaction(this.#db, () => ids.forEach((id) => this.#sql.forget.run(id))));
  }

  /** Keeps it, if it is of a drill that is not known and one of the `most` that ended last. */
  putDrill(report: StoredDrill, most: number): Promise<'kept' | 'known' | 'old'> {
    return settle(() =>
      transaction(this.#db, () => {
        if (this.#sql.known.get(report.drill)) return 'known';
        const { count, oldest } = this.#sql.room.get() as { count: number; oldest: number | null };
        if (count >= most && report.ended <= (oldest ?? 0)) return 'old';
        this.#sql.keep.run({ ...report });
        this.#sql.shed.run(most);
        return 'kept';
      }),
    );
  }

  /** At most `most`, and no more once they hold `bytes`. */
  drillsAfter(id: number, most: number, bytes: number): Promise<readonly KeptReport[]> {
    return settle(() => page(this.#sql.kept, id, most, bytes) as readonly KeptReport[]);
  }

  /** The highest id that was ever given; 0 for none. */
  lastDrill(): Promise<number> {
    return settle(() => Number(this.#sql.lastKept.get()?.['last']));
  }

  close(): Promise<void> {
    return settle(() => this.#db.close());
  }
}

/** Rows after an id, at most `most`, and no more once they hold `bytes`. */
function page(rows: StatementSync, id: number, most: number, bytes: number): readonly unknown[] {
  const found: unknown[] = [];
  for (const row of rows.iterate(id, most)) {
    found.push(row);
    bytes -= String(row['jws']).length;
    if (bytes <= 0) break;
  }
  return found;
}
