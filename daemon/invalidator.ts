// What the daemon's core needs of whoever faces the kernel. `engine.ts` implements it with fuse/; the core never
// imports that. Everything here is for the main thread.
import type { Table } from './table.ts';

export interface Server {
  /** Resolves when no request will be answered by an earlier table any more. */
  show(table: Table): Promise<void>;
  readonly invalidator: Invalidator;
  /** Stops serving and takes the mount away. */
  close(): Promise<void>;
}

/** Makes the kernel forget. Each promise resolves when the kernel has. */
export interface Invalidator {
  /** A file's pages: mappings of it die (SIGBUS). */
  pages(node: number): Promise<void>;
  /** What a name in a view leads to: the next use asks again. */
  name(view: number, name: string): Promise<void>;
  /** A name that is gone. */
  removed(view: number, node: number, name: string): Promise<void>;
}
