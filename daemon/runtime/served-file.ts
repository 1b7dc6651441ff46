// What the kernel may have been told: every file that a table has shown and no withdrawal has taken back since. The
// next server reads it as the table before its own first one. The caller owes the order: `extend` before a table is
// shown, `reduce` after what it no longer has was withdrawn; so the record says too much at times, never too little. A
// table that only takes away writes nothing first: a revocation waits for no file. A damaged record must not be
// taken for an empty one: then nobody knows what the kernel keeps, and only a new mount is safe.
import { ManifestError } from '../../manifest/errors.ts';
import type { JsonObject } from '../../manifest/json.ts';
import { parseFileName, parseSecretReference, parseWorkload, targetPath } from '../../manifest/names.ts';
import type { Workload } from '../../manifest/names.ts';
import { array, integer, string } from '../../manifest/shape.ts';
import { EMPTY_TABLE } from '../table.ts';
import type { ServedFile, Table } from '../table.ts';
import { DaemonError } from '../errors.ts';
import type { StateFile } from './state-file.ts';

/** 100,000 files, and as many that are on their way out. */
const MOST_FILES = 200_000;
const FIELDS = 11;
const MOST_NODE = 2 ** 52 - 1;
const MOST_UINT32 = 2 ** 32 - 1;

/** What the kernel may know of a file, and what finds it again. */
const KNOWN = ['view', 'file', 'named', 'path', 'size', 'uid', 'gid', 'mode', 'mtime'] as const;

/** A file in one JSON string: names have no blanks, and a member for each field would pass what a document may hold. */
type Line = string;

export class ServedRecord {
  readonly #file: StateFile;
  #files: readonly ServedFile[] = [];
  #byNode: ReadonlyMap<number, readonly ServedFile[]> = new Map();
  #views: ReadonlyMap<Workload, number> = new Map();

  constructor(file: StateFile) {
    this.#file = file;
  }

  /**
   * What an earlier server has left, which stays on record until `reduce`. Slots and leases are -1, and every view counts as
   * registered. A file stands there once for each state in which the kernel may know it.
   * @throws DaemonError runtime-unreadable
   */
  read(): Table {
    const told = this.#file.read(parseFiles);
    if (!told) return EMPTY_TABLE;
    const files = told.map(({ file }) => file);
    const views = new Map(told.map(({ file, viewNode }) => [file.view, viewNode]));
    this.#take(files, views);
    return {
      files,
      views: [...views].map(([workload, node]) => ({ workload, node })),
      // No control group is named like that, so nobody is let in by these.
      groups: new Map([...views.keys()].map((workload) => [workload, workload])),
    };
  }

  /** Every node on record, once. */
  get nodes(): readonly number[] {
    return [...this.#byNode.keys()];
  }

  /**
   * Adds what a table is about to show; tells whether there was anything to add.
   * @throws DaemonError runtime-unwritable: it must not be shown
   */
  extend(table: Table): boolean {
    const added = table.files.filter((file) => !this.#has(file));
    if (added.length > 0)
      this.#write([...this.#files, ...added], new Map([...this.#views, ...viewsOf(table)]));
    return added.length > 0;
  }

  /**
   * What is not in this table was taken back.
   * @throws DaemonError runtime-unwritable: the record still says more, which costs time at the next start
   */
  reduce(table: Table): void {
    const isSame = table.files.length === this.#files.length && table.files.every((file) => this.#has(file));
    if (!isSame) this.#write(table.files, viewsOf(table));
  }

  #has(file: ServedFile): boolean {
    const states = this.#byNode.get(file.node) ?? [];
    return states.some((state) => KNOWN.every((field) => state[field] === file[field]));
  }

  #write(files: readonly ServedFile[], views: ReadonlyMap<Workload, number>): void {
    if (files.length > MOST_FILES) {
      throw new DaemonError(
        'runtime-unwritable',
        `${files.length} files, at most ${MOST_FILES} are recorded`,
      );
    }
    this.#file.write({ files: files.map((file) => lineOf(file, views.get(file.view) ?? 0)) });
    this.#take(files, views);
  }

  #take(files: readonly ServedFile[], views: ReadonlyMap<Workload, number>): void {
    this.#files = files;
    this.#byNode = Map.groupBy(files, ({ node }) => node);
    this.#views = views;
  }
}

function viewsOf({ views }: Table): ReadonlyMap<Workload, number> {
  return new Map(views.map(({ workload, node }) => [workload, node]));
}

function lineOf(file: ServedFile, viewNode: number): Line {
  const { node, view, file: name, named, path, size, uid, gid, mode, mtime } = file;
  return [view, viewNode, node, name, named ? 1 : 0, path, size, uid, gid, mode, mtime].join(' ');
}

interface Told {
  readonly file: ServedFile;
  readonly viewNode: number;
}

function parseFiles(members: JsonObject): readonly Told[] {
  return array(members['files'], 'files', MOST_FILES).map((entry, i) =>
    parseLine(string(entry, `files.${i}`), `files.${i}`),
  );
}

function parseLine(line: Line, where: string): Told {
  const fields = line.split(' ');
  if (fields.length !== FIELDS) throw malformed(where);
  const [view = '', viewNode, node, name = '', named, path = '', size, uid, gid, mode, mtime] = fields;
  const number = (field: string | undefined, most: number): number => integer(decimal(field), where, 0, most);
  const reference = parseSecretReference(path);
  if (reference.version === undefined) throw malformed(where);
  const { version } = reference;
  return {
    viewNode: number(viewNode, MOST_NODE),
    file: {
      node: number(node, MOST_NODE),
      view: parseWorkload(view),
      file: parseFileName(name),
      path: targetPath(reference.namespace, reference.name, version),
      version,
      named: number(named, 1) === 1,
      lease: -1,
      whenStale: 'deny',
      slot: -1,
      generation: -1,
      size: number(size, MOST_UINT32),
      uid: number(uid, MOST_UINT32),
      gid: number(gid, MOST_UINT32),
      mode: number(mode, 0o777),
      mtime: number(mtime, MOST_NODE),
    },
  };
}

function decimal(field: string | undefined): number {
  return field !== undefined && /^(0|[1-9]\d{0,15})$/.test(field) ? Number(field) : NaN;
}

function malformed(where: string): ManifestError {
  return new ManifestError('metadata-malformed', `${where}: ${FIELDS} fields of a file expected`);
}
