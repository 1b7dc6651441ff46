/**
 * What a FUSE server serves. The engine owns the protocol, whoever implements this owns every decision: it is asked on
 * every lookup, open, read and page fault that no cached page answers. The kernel keeps no name, and a directory's
 * attributes for a clock tick only; those must not differ by caller, others may. A method answers at once (it runs
 * on the serving thread, and every reader waits), returns a refusal as a negative errno, and may throw: the reader then
 * gets EACCES.
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
  /** Asked once when a directory is opened; offsets stay stable for that handle. Without . and .. */
  entries(node: NodeId, caller: Caller): readonly DirectoryEntry[] | Errno;
  /** A handle >= 0 or an errno. Every handle comes back through `release`, unless the mount ends first. */
  open(node: NodeId, caller: Caller): number;
  /**
   * Copies into `into` (which may be shorter than asked at the end) and returns the count, 0 past the end, or an
   * errno. Runs on every read(2) and page fault. Bytes beyond the count must be left alone: on success only what was
   * counted is wiped.
   */
  read(node: NodeId, handle: number, offset: number, into: Uint8Array, caller: Caller): number;
  release(node: NodeId, handle: number): void;
  forget(node: NodeId, lookups: number): void;
}
