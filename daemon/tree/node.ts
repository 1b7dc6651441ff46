// What every kind of node answers, and how its attributes look. The caller is known already, as who it is.
import { ERRNO } from '../../fuse/errno.ts';
import type { Attributes, DirectoryEntry, Errno } from '../../fuse/tree.ts';
import type { Who } from '../access.ts';

export interface TreeNode {
  attributes(who: Who): Attributes | Errno;
}

export interface DirectoryNode extends TreeNode {
  lookup(name: string, who: Who): Attributes | Errno;
  /** The same list for as long as it is true. */
  entries(who: Who): readonly DirectoryEntry[] | Errno;
}

/** Everybody may pass; what is behind decides for itself. */
export function directoryAttributes(node: number): Attributes {
  return { node, kind: 'directory', size: 0, mode: 0o555, uid: 0, gid: 0, mtime: 0 };
}

export function linkAttributes(node: number, target: string): Attributes {
  return { node, kind: 'symlink', size: target.length, mode: 0o777, uid: 0, gid: 0, mtime: 0 };
}

export function entryOf({ node, kind }: Attributes, name: string): DirectoryEntry {
  return { node, name, kind };
}

export function isErrno(answer: unknown): answer is Errno {
  return typeof answer === 'number';
}

export const ABSENT = ERRNO.ENOENT;
