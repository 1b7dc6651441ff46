// A secret's file: one inode for each version in each view. Whoever opens or reads is asked for again each time:
// is the caller the view's workload, does the lease hold, is the slot not revoked. A handle says which server gave it
// out and which occupant of the slot it counted, so that one of an earlier server, or of an earlier occupant, takes
// nothing from the count; what it reads follows from the node alone, so it goes on after a restart.
import { randomInt } from 'node:crypto';
import type { Attributes } from '../../fuse/tree.ts';
import { admit, enter } from '../access.ts';
import type { Denial, Who } from '../access.ts';
import type { Leases } from '../leases.ts';
import type { ServedFile } from '../table.ts';
import type { VaultOpener } from '../vault/opener.ts';

const GENERATION_RANGE = 2 ** 32;
const SERVERS = 2 ** 20;

export class SecretFile {
  readonly #file: ServedFile;
  /** Below its view nothing differs by caller. */
  readonly #attributes: Attributes;

  constructor(file: ServedFile) {
    const { node, size, mode, uid, gid, mtime } = file;
    this.#file = file;
    this.#attributes = { node, kind: 'file', size, mode, uid, gid, mtime, lasting: true };
  }

  get served(): ServedFile {
    return this.#file;
  }

  /** They tell a size, so they are for the view's own workload; they outlive the lease, as names do. */
  attributes(who: Who): Attributes | Denial {
    return enter(who, this.#file.view) ?? this.#attributes;
  }

  xattrs(who: Who): ReadonlyMap<string, string> | Denial {
    const { view, version, expires } = this.#file;
    const denial = enter(who, view);
    if (denial) return denial;
    const all = new Map([['user.lapse.version', String(version)]]);
    return expires === undefined ? all : all.set('user.lapse.expires', new Date(expires).toISOString());
  }
}

export class SecretFiles {
  readonly #opener: VaultOpener;
  readonly #leases: Leases;
  readonly #server = randomInt(SERVERS) * GENERATION_RANGE;

  constructor(opener: VaultOpener, leases: Leases) {
    this.#opener = opener;
    this.#leases = leases;
  }

  /** A handle. */
  open({ served }: SecretFile, who: Who): number | Denial {
    const { slot, generation, view } = served;
    const denial = admit(who, view, this.#leases.admits(served));
    if (denial) return denial;
    return this.#opener.acquire(slot, generation) ? this.#handle(generation) : 'revoked';
  }

  /** Returns the count of bytes. */
  read({ served }: SecretFile, offset: number, into: Uint8Array, who: Who): number | Denial {
    const { slot, generation, view } = served;
    const denial = admit(who, view, this.#leases.admits(served));
    if (denial) return denial;
    const count = this.#opener.copy(slot, generation, offset, into);
    return count < 0 ? 'revoked' : count;
  }

  release({ served: { slot, generation } }: SecretFile, handle: number): void {
    if (handle === this.#handle(generation)) this.#opener.release(slot, generation);
  }

  #handle(generation: number): number {
    return this.#server + (generation >>> 0);
  }
}
