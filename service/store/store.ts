// What the service needs of a store: values under keys, changed by compare-and-set, many at once or none, durable
// before the promise resolves. Every commit gets the next revision; whoever watches sees them in that order, and
// whoever was away asks for the changes since the last revision it saw. One contract test serves every
// implementation; nothing here is peculiar to one machine.

export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface Stored {
  readonly value: Uint8Array;
  /** The commit that wrote it. */
  readonly revision: number;
}

export interface Commit {
  /** The revisions at which these keys must stand; 0 for absent. */
  readonly expect: readonly { readonly key: string; readonly revision: number }[];
  readonly put: readonly Entry[];
  readonly remove?: readonly string[];
}

/** What one commit touched; a removed key is listed too. */
export interface Change {
  readonly revision: number;
  readonly keys: readonly string[];
}

export interface Store {
  get(key: string): Promise<Stored | undefined>;

  /**
   * @returns the new revision
   * @throws ServiceError conflict, if an expectation does not hold; store-failed. Nothing has changed then.
   */
  commit(commit: Commit): Promise<number>;

  /** At most `limit` changes in order, or `compacted` if the store no longer knows (or never knew) that revision. */
  changesSince(revision: number, limit: number): Promise<readonly Change[] | 'compacted'>;

  /** Calls `listener`, which must not throw, after each durable commit from now on, in order. */
  watch(listener: (change: Change) => void): Disposable;

  close(): Promise<void>;
}
