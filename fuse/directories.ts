/**
 * Listing directories without keeping anything for whoever lists: the offset after an entry is a number that follows from
 * its name. So it means the same while entries come and go (those that stay are neither skipped nor repeated), after a
 * restart, and for any count of open directories; 31 bits, for the sake of 32-bit programs. An entry that the kernel
 * would answer with EIO is the tree's mistake and is thrown.
 */
import { ERRNO } from './errno.ts';
import { direntBytes, ENTRY_BYTES, writeDirent } from './reply.ts';
import type { Outcome, Reply } from './reply.ts';
import type { Attributes, DirectoryEntry, NodeId } from './tree.ts';
import { MAX_NAME_BYTES } from './wire.ts';

export const MAX_ENTRIES = 65_536;
/** What libfuse says for a directory's parent, too: nobody but getdents shows it, and we do not know it. */
const UNKNOWN_NODE = 0xffff_ffff;
const SELF_OFFSET = 1;
const PARENT_OFFSET = 2;
const FIRST_OFFSET = 3;
/** Leaves room for names that have to move out of each other's way. */
const OFFSET_RANGE = 2 ** 31 - FIRST_OFFSET - MAX_ENTRIES;

interface Placed {
  readonly entry: DirectoryEntry;
  /** What a listing that goes on behind this entry begins with. */
  readonly offset: number;
}

interface Listing {
  readonly directory: NodeId;
  readonly entries: readonly DirectoryEntry[];
  readonly placed: readonly Placed[];
  /** All of them as READDIR wants them, one behind the other. */
  readonly encoded: Buffer;
  /** Where in `encoded` each one begins, and where the last one ends. */
  readonly starts: Uint32Array;
}

/**
 * A tree that returns the same list for as long as it is true has it sorted and encoded only once. One is kept, not one a
 * directory: callers decide how many they list.
 */
let latest: Listing | undefined;

/** What a lookup of an entry brings (READDIRPLUS): `nothing` when the kernel shall ask itself. */
export type Find = (entry: DirectoryEntry) => Attributes | 'nothing';

/** Writes the entries behind `offset`, as many as fit into `size`. */
export function list(
  directory: NodeId,
  entries: readonly DirectoryEntry[],
  offset: number,
  size: number,
  reply: Reply,
  find?: Find,
): Outcome {
  if (entries.length > MAX_ENTRIES) return ERRNO.EOVERFLOW;
  const { placed, encoded, starts } = listingOf(directory, entries);
  const start = (index: number): number => starts[index] ?? encoded.length;
  const extra = find === undefined ? 0 : ENTRY_BYTES;
  const first = firstBehind(placed, offset);
  let end = first;
  while (end < placed.length && start(end + 1) - start(first) + (end + 1 - first) * extra <= size) end += 1;
  if (end === first) return first < placed.length ? ERRNO.EINVAL : 0;
  if (find === undefined) return reply.dirents(0, encoded, start(first), start(end));
  let length = 0;
  for (const [index, { entry }] of placed.slice(first, end).entries()) {
    const found = isDots(entry) ? 'nothing' : find(entry);
    if (found !== 'nothing') reply.entry(found, length);
    length = reply.dirents(length + ENTRY_BYTES, encoded, start(first + index), start(first + index + 1));
  }
  return length;
}

function listingOf(directory: NodeId, entries: readonly DirectoryEntry[]): Listing {
  if (latest?.entries === entries && latest.directory === directory) return latest;
  const placed = place(directory, entries);
  latest = { directory, entries, placed, ...encode(placed) };
  return latest;
}

function encode(placed: readonly Placed[]): Pick<Listing, 'encoded' | 'starts'> {
  const starts = new Uint32Array(placed.length + 1);
  let length = 0;
  for (const [index, { entry }] of placed.entries()) {
    length += direntBytes(entry.name);
    starts[index + 1] = length;
  }
  const encoded = Buffer.alloc(length);
  for (const [index, { entry, offset }] of placed.entries())
    writeDirent(encoded, starts[index] ?? 0, entry, offset);
  return { encoded, starts };
}

/** In the order of their offsets. Of names that would get the same one, the later in the alphabet moves on. */
function place(directory: NodeId, entries: readonly DirectoryEntry[]): readonly Placed[] {
  const hashed = entries.map((entry) => ({ entry, offset: offsetOf(entry.name) }));
  hashed.sort((a, b) => a.offset - b.offset || (a.entry.name < b.entry.name ? -1 : 1));
  let last = PARENT_OFFSET;
  const placed = hashed.map(({ entry, offset }) => {
    last = Math.max(offset, last + 1);
    return { entry, offset: last };
  });
  return [
    { entry: { node: directory, name: '.', kind: 'directory' }, offset: SELF_OFFSET },
    { entry: { node: UNKNOWN_NODE, name: '..', kind: 'directory' }, offset: PARENT_OFFSET },
    ...placed,
  ];
}

/** FNV-1a over UTF-16, which spreads names well enough; equal ones are moved apart. @throws TypeError */
function offsetOf(name: string): number {
  const length = Buffer.byteLength(name);
  if (length === 0 || length > MAX_NAME_BYTES || /[/\0]/.test(name) || name === '.' || name === '..')
    throw new TypeError(`not the name of a directory entry: ${JSON.stringify(name)}`);
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return FIRST_OFFSET + ((hash >>> 0) % OFFSET_RANGE);
}

function firstBehind(placed: readonly Placed[], offset: number): number {
  let low = 0;
  for (let high = placed.length; low < high;) {
    const middle = (low + high) >> 1;
    if ((placed[middle]?.offset ?? 0) > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

function isDots({ name }: DirectoryEntry): boolean {
  return name === '.' || name === '..';
}
