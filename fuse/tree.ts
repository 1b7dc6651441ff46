/**
 * What a FUSE server serves. The engine owns the protocol, whoever implements this owns every decision: it is asked on
 * every open, read and page fault that no cached page answers, and on every lookup but those of lasting names. Who may
 * read by owner and mode is the engine's business (permission.ts), and asked after the tree. A method answers at once
 * (it runs on the serving thread, and every reader waits), returns a refusal as a negative errno, and may throw: the
 * reader then gets EACCES.
 */

/** A safe integer below 2^52, deterministic; 1 is the root. */
export type NodeId = number;

/** A negative Linux errno, e.g. ERRNO.EACCES (-13). */
export type Errno = number;

/** Who asks. Valid only during the call: the engine reuses the object. */
export interface Caller {
  /** The thread id in the server's pid namespace; 0 when the kernel does not say. */
  readonly tid: number;
  readonly uid: number;
  readonly gid: number;
  /** Equal in two calls when both are about one request: its caller is blocked, and cannot have changed meanwhile. */
  readonly request: number;
  /** Whether it is a thread of the server's own process. Found out when asked, which takes a system call. */
  readonly own: boolean;
}

export interface Attributes {
  readonly node: NodeId;
  readonly kind: 'directory' | 'file' | 'symlink';
  readonly size: number;
  /** The permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /**
   * The kernel may keep the name and the attributes until they are withdrawn (announce.ts). Only for what is the same for
   * every caller who can reach it: one superblock serves all of them. Otherwise nothing is kept.
   */
  readonly lasting?: boolean;
}

export interface DirectoryEntry {
  readonly node: NodeId;
  readonly name: string;
  readonly kind: Attributes['kind'];
}

export interface Tree {
  /** Every success counts as one lookup of the node, until `forget` takes it back. */
  lookup(parent: NodeId, name: string, caller: Caller): Attributes | Errno;
  attributes(node: NodeId, caller: Caller): Attributes | Errno;
  readlink(node: NodeId, caller: Caller): string | Errno;
  /** Extended attributes by their full names (`user.…`). Absent: no node has any. */
  xattrs?(node: NodeId, caller: Caller): ReadonlyMap<string, string> | Errno;
  /** Asked when a directory is opened, and again for each part that is read. Without . and .. */
  entries(node: NodeId, caller: Caller): readonly DirectoryEntry[] | Errno;
  /**
   * A handle >= 0 (below 2^52) or an errno. Every handle comes back through `release`, unless the mount ends first; after
   * a restart handles of the former server come, too.
   */
  open(node: NodeId, caller: Caller): number;
  /**
   * Copies into `into` (which may be shorter than asked at the end) and returns the count, 0 past the end, or an
   * errno. Runs on every read(2) and page fault. Bytes beyond the count must be left alone: on success only what was
   * counted is wiped.
   */
  read(node: NodeId, handle: number, offset: number, into: Uint8Array, caller: Caller): number;
  release(node: NodeId, handle: number): void;
  forget(node: NodeId, lookups: number): void;
  /** What the server itself asks for through its own mount, so that watchers hear of it. Absent: nothing. */
  readonly own?: OwnRequests;
}

/** 0, or an errno. */
export type Done = number;

/** The server's own changes: each makes the kernel tell who watches (inotify). Nobody else's request gets here. */
export interface OwnRequests {
  /** The kernel is about to make this name: until now `lookup` said ENOENT, from now on it finds the node. */
  create(parent: NodeId, name: string): Attributes | Errno;
  /** The kernel is about to take this name away: from now on `lookup` says ENOENT. */
  remove(parent: NodeId, name: string): Done;
  /** The kernel is about to put one name in the place of another, in one directory. */
  rename(parent: NodeId, name: string, to: string): Done;
}
