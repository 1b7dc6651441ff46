// One behaviour, as a row of the table: what any engine must do on a real mount. It throws an AssertionError when the
// engine does not.
import type { PosixMount } from '../../support/fuse-posix-mount.ts';

/** What not every kernel that may run the tests offers. */
export type Capability = 'io_uring' | 'aio';

export interface Row {
  readonly name: string;
  readonly needs?: Capability;
  /** Afterwards the mount is of no use. */
  readonly ends?: true;
  run(mount: PosixMount): Promise<void>;
}
