// The tree that the table of behaviours is run against: every kind of node, owner and mode. What changes about it is
// told by files in a control directory, so that any engine, in any process, and the next server after a crash, knows
// at once and without a message:
//   denied/NAME    the node of that name is refused, and its name is gone     changing/NAME   an entry of `changing`
//   shut           reading `gate` waits until this is gone                    waiting         somebody does
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERRNO } from '../../fuse/errno.ts';
import type {
  Attributes,
  Caller,
  DirectoryEntry,
  Errno,
  NodeId,
  OwnRequests,
  Tree,
} from '../../fuse/tree.ts';

export const MTIME = 1_700_000_000;
export const USER = 1000;
export const GROUP = 2000;
export const TAGS: ReadonlyMap<string, string> = new Map([
  ['user.version', '7'],
  ['user.expires', '2031-01-01T00:00:00Z'],
]);
/** 255 bytes each, of one and of three bytes a character. */
export const LONG_NAMES = ['x'.repeat(255), '蔵'.repeat(85)];
export const ODD_NAMES = ['.hidden', '-dash', 'with space', 'ümlaut', '🔑', 'back\\slash', '"quoted"', '%2f'];
export const MANY = Array.from({ length: 1000 }, (_, index) => `entry-${String(index).padStart(3, '0')}`);
export const SIZES = { empty: 0, hello: 13, page: 4096, 'page-and-one': 4097, big: 1 << 20 } as const;
/** The largest that an attribute can tell. */
export const HUGE = 2 ** 53 - 1;

/** The byte at each place of every ordinary file: neighbours, pages and powers of two all differ. */
export function byteAt(offset: number): number {
  const low = offset % 2 ** 32;
  return (low * 7 + Math.floor(low / 251) * 13 + Math.floor(offset / 2 ** 32) * 31) & 0xff;
}

export function content(offset: number, size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, (_, index) => byteAt(offset + index)));
}

/** Beyond 32 bits, which a structure read wrongly would cut off. */
const FIRST_NODE = 2 ** 51;
const FIRST_CHANGING = 2 ** 50;

interface Entry {
  readonly name: string;
  readonly kind: Attributes['kind'];
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly target?: string;
  readonly lasting?: boolean;
  readonly entries?: readonly Entry[];
}

const file = (name: string, more: Partial<Entry> = {}): Entry => ({
  name,
  kind: 'file',
  mode: 0o444,
  ...more,
});
const link = (name: string, target: string): Entry => ({ name, kind: 'symlink', mode: 0o777, target });
const directory = (name: string, entries: readonly Entry[], more: Partial<Entry> = {}): Entry => ({
  ...{ name, kind: 'directory', mode: 0o755, entries },
  ...more,
});
const guarded = (mode: number, gid = 0): Entry =>
  directory(`directory-${mode.toString(8)}`, [file('inside')], { mode, gid });
const owned = (name: string, uid: number, gid: number, mode: number): Entry => file(name, { uid, gid, mode });

const ROOT = directory('', [
  ...Object.entries(SIZES).map(([name, size]) => file(name, { size })),
  file('huge', { size: HUGE }),
  // The text changes, and is never longer than this.
  file('caller', { size: 64 }),
  file('gate', { size: 4096 }),
  file('tagged'),
  link('link', 'hello'),
  link('deep-link', 'deep/er/file'),
  link('dangling', 'nowhere'),
  link('loop', 'loop'),
  link('who', ''),
  directory('deep', [directory('er', [file('file', { size: 5 })])]),
  directory(
    'many',
    MANY.map((name) => file(name)),
  ),
  directory('changing', []),
  directory(
    'names',
    [...LONG_NAMES, ...ODD_NAMES].map((name) => file(name, { size: 3 })),
  ),
  directory('lasting', [file('kept', { size: 100, lasting: true }), file('other', { lasting: true })], {
    lasting: true,
  }),
  directory('modes', [
    owned('root-0400', 0, 0, 0o400),
    owned('root-0000', 0, 0, 0),
    owned('user-0400', USER, USER, 0o400),
    owned('user-0044', USER, USER, 0o044),
    owned('group-0440', 0, USER, 0o440),
    owned('second-group-0040', 0, GROUP, 0o040),
    owned('other-0004', 0, 0, 0o004),
    guarded(0o700),
    guarded(0o711),
    guarded(0o744),
    guarded(0o750, USER),
  ]),
]);

interface Node extends Entry {
  readonly node: NodeId;
  readonly parent: NodeId;
}

const NODES = new Map<NodeId, Node>();
number(ROOT, 0, 1);

function number(entry: Entry, parent: NodeId, node: NodeId): void {
  NODES.set(node, { ...entry, node, parent });
  for (const child of entry.entries ?? []) number(child, node, FIRST_NODE + NODES.size);
}

const CHILDREN = Map.groupBy(NODES.values(), ({ parent }) => parent);

/** Where in the tree a node is; for notifications. */
export function nodeAt(path: string): { readonly node: NodeId; readonly parent: NodeId } {
  let here = NODES.get(1)!;
  for (const name of path.split('/')) here = CHILDREN.get(here.node)!.find((child) => child.name === name)!;
  return here;
}

/** What both sides of a worker may see. */
export const COUNTERS = { handles: 0, lookups: 1, length: 2 } as const;

export class PosixTree implements Tree {
  readonly #control: string;
  readonly #counters: Int32Array;
  /** Of names in `changing` only; the tests ask for nothing else. */
  readonly own: OwnRequests = {
    create: (_parent, name) => {
      writeFileSync(this.#changing(name), '');
      return attributesOf(changing(FIRST_CHANGING + Number(name)));
    },
    remove: (_parent, name) => (rmSync(this.#changing(name)), 0),
    rename: (_parent, name, to) => (renameSync(this.#changing(name), this.#changing(to)), 0),
  };

  constructor(control: string, counters: Int32Array) {
    this.#control = control;
    this.#counters = counters;
  }

  lookup(parent: NodeId, name: string): Attributes | Errno {
    const found = this.#children(parent).find((child) => child.name === name);
    if (found === undefined || this.#denies(found)) return ERRNO.ENOENT;
    Atomics.add(this.#counters, COUNTERS.lookups, 1);
    return attributesOf(found);
  }

  attributes(node: NodeId): Attributes | Errno {
    const found = this.#find(node);
    return found ? attributesOf(found) : ERRNO.ENOENT;
  }

  readlink(node: NodeId, caller: Caller): string | Errno {
    const found = this.#find(node);
    if (found?.kind !== 'symlink') return ERRNO.EINVAL;
    return found.name === 'who' ? String(caller.tid) : (found.target ?? '');
  }

  xattrs(node: NodeId): ReadonlyMap<string, string> | Errno {
    const found = this.#find(node);
    if (found === undefined || this.#denies(found)) return ERRNO.EACCES;
    return found.name === 'tagged' ? TAGS : new Map<string, string>();
  }

  entries(node: NodeId): readonly DirectoryEntry[] | Errno {
    const found = this.#find(node);
    if (found?.kind !== 'directory') return ERRNO.ENOTDIR;
    if (this.#denies(found)) return ERRNO.EACCES;
    return this.#children(node).filter((child) => !this.#denies(child));
  }

  open(node: NodeId): number {
    const found = this.#find(node);
    if (found === undefined || this.#denies(found)) return ERRNO.EACCES;
    Atomics.add(this.#counters, COUNTERS.handles, 1);
    return node;
  }

  read(node: NodeId, _handle: number, offset: number, into: Uint8Array, caller: Caller): number {
    const found = this.#find(node);
    if (found === undefined) return ERRNO.EACCES;
    if (found.name === 'gate') this.#waitAtGate();
    if (this.#denies(found)) return ERRNO.EACCES;
    if (found.name === 'caller') return copyText(caller, offset, into);
    const count = Math.max(0, Math.min(into.length, (found.size ?? 0) - offset));
    for (let i = 0; i < count; i += 1) into[i] = byteAt(offset + i);
    return count;
  }

  release(): void {
    Atomics.sub(this.#counters, COUNTERS.handles, 1);
  }

  forget(_node: NodeId, lookups: number): void {
    Atomics.sub(this.#counters, COUNTERS.lookups, lookups);
  }

  #find(node: NodeId): Node | undefined {
    return NODES.get(node) ?? (node >= FIRST_CHANGING && node < FIRST_NODE ? changing(node) : undefined);
  }

  #children(node: NodeId): readonly Node[] {
    if (NODES.get(node)?.name !== 'changing') return CHILDREN.get(node) ?? [];
    return readdirSync(join(this.#control, 'changing')).map((name) =>
      changing(FIRST_CHANGING + Number(name)),
    );
  }

  #changing(name: string): string {
    return join(this.#control, 'changing', name);
  }

  #denies({ name }: Node): boolean {
    return name !== '' && existsSync(join(this.#control, 'denied', name));
  }

  /** The one server is kept waiting, as a slow tree would; not for ever. */
  #waitAtGate(): void {
    const sleep = new Int32Array(new SharedArrayBuffer(4));
    if (existsSync(join(this.#control, 'shut'))) writeFileSync(join(this.#control, 'waiting'), '');
    for (let i = 0; i < 5000 && existsSync(join(this.#control, 'shut')); i += 1) Atomics.wait(sleep, 0, 0, 1);
  }
}

/** Whatever is in the control directory has a number as its name. */
function changing(node: NodeId): Node {
  return { ...file(String(node - FIRST_CHANGING)), node, parent: nodeAt('changing').node };
}

function attributesOf({ node, kind, size, mode, uid = 0, gid = 0, target, lasting }: Node): Attributes {
  const length = size ?? (target === undefined ? 0 : Buffer.byteLength(target));
  const known = { node, kind, size: length, mode, uid, gid, mtime: MTIME };
  return lasting === true ? { ...known, lasting } : known;
}

function copyText({ tid, uid, gid }: Caller, offset: number, into: Uint8Array): number {
  const text = Buffer.from(`${tid} ${uid} ${gid}`).subarray(offset, offset + into.length);
  into.set(text);
  return text.length;
}
