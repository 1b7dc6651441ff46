/**
 * Listing directories without keeping anything for whoever lists: the offset after an entry is a number that follows from
 * its name. So it means the same while entries come and go (those that stay are neither skipped nor repeated), after a
 * restart, and for any count of open directories; 31 bits, for the sake of 32-bit programs. An entry that the kernel
 * would answer with EIO is the tree's mistake and is thrown.
 */
import { ERRNO } from './errno.ts';
import { entryBytes } from './reply.ts';
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
  readonly placed: readonly Placed[];
}

/** A tree that returns the same list for as long as it is true has it sorted only once. */
const listings = new WeakMap<readonly DirectoryEntry[], Listing>();

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
  const placed = listingOf(directory, entries).placed;
  let length = 0;
  for (const { entry, offset: next } of placed.slice(firstBehind(placed, offset))) {
    const end = length + entryBytes(entry.name, find !== undefined);
    if (end > size) return length > 0 ? length : ERRNO.EINVAL;
    if (find) reply.directoryEntryPlus(length, entry, next, isDots(entry) ? 'nothing' : find(entry));
    else reply.directoryEntry(length, entry, next);
    length = end;
  }
  return length;
}

function listingOf(directory: NodeId, entries: readonly DirectoryEntry[]): Listing {
  const known = listings.get(entries);
  if (known?.directory === directory) return known;
  const listing = { directory, placed: place(directory, entries) };
  listings.set(entries, listing);
  return listing;
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
  const index = placed.findIndex((candidate) => candidate.offset > offset);
  return index < 0 ? placed.length : index;
}

function isDots({ name }: DirectoryEntry): boolean {
  return name === '.' || name === '..';
}
