// What the daemon's core needs of whoever faces the kernel. `engine.ts` implements it with fuse/; the core never
// imports that. Everything here is for the main thread.
import type { FileName, Workload } from '../manifest/names.ts';
import type { Shown } from './table.ts';

export interface Server {
  /** Resolves when no request will be answered by an earlier table any more. */
  show(table: Shown): Promise<void>;
  readonly invalidator: Invalidator;
  readonly announcer: Announcer;
}

/** Makes the kernel forget. Each promise resolves when the kernel has. */
export interface Invalidator {
  /** A file's pages and attributes: mappings of it die (SIGBUS). */
  pages(node: number): Promise<void>;
  /** What a name in a view leads to: the next use asks again. */
  name(view: number, name: string): Promise<void>;
  /** A name that is gone. */
  removed(view: number, node: number, name: string): Promise<void>;
}

/**
 * Makes the kernel tell whoever watches a view (inotify). Only watchers depend on it, so nothing here is an error: each
 * tells whether the kernel did.
 */
export interface Announcer {
  /** Before a name leads to another version; what it resolves to is for afterwards. `size` is that of the old one. */
  replacing(view: Workload, file: FileName, size: number): Promise<() => Promise<boolean>>;
  /** Makes a name that was shown as arriving. */
  created(view: Workload, file: FileName): Promise<boolean>;
  /** Takes a name away that was shown as departing. */
  deleted(view: Workload, file: FileName): Promise<boolean>;
  /** The view in the style of Kubernetes has switched. */
  switched(view: Workload): Promise<boolean>;
}
