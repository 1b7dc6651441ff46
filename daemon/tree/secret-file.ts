// A secret's file: one inode for each version in each view. Whoever opens or reads is asked for again each time:
// is the caller the view's workload, does the lease hold, is the slot not revoked.
import type { Attributes } from '../../fuse/tree.ts';
import { admit, enter } from '../access.ts';
import type { Denial } from '../access.ts';
import type { Lease } from '../lease.ts';
import type { ServedFile } from '../table.ts';
import type { VaultOpener } from '../vault/opener.ts';
import type { SlotTable } from '../vault/slot.ts';
import type { Who } from './node.ts';

/** An open file: which slot it holds, and which occupant of it. */
export interface OpenFile {
  readonly node: number;
  readonly slot: number;
  readonly generation: number;
}

export function fileAttributes({ node, size, mode, uid, gid, mtime }: ServedFile): Attributes {
  return { node, kind: 'file', size, mode, uid, gid, mtime };
}

export class SecretFiles {
  readonly #opener: VaultOpener;
  readonly #slots: SlotTable;
  readonly #lease: Lease;

  constructor(opener: VaultOpener, slots: SlotTable, lease: Lease) {
    this.#opener = opener;
    this.#slots = slots;
    this.#lease = lease;
  }

  /** Attributes tell a size, so they are for the view's own workload; they outlive the lease, as names do. */
  attributes(file: ServedFile, who: Who): Attributes | Denial {
    return enter(who, file.view) ?? fileAttributes(file);
  }

  open(file: ServedFile, who: Who): OpenFile | Denial {
    const denial = admit(who, file.view, this.#lease.holds());
    if (denial) return denial;
    const opened = { node: file.node, slot: file.slot, generation: this.#slots.get(file.slot, 'generation') };
    return this.#opener.acquire(file.slot) ? opened : 'revoked';
  }

  /** `file` is what the table says of the opened node now: undefined when nothing. Returns the count of bytes. */
  read(
    file: ServedFile | undefined,
    opened: OpenFile,
    offset: number,
    into: Uint8Array,
    who: Who,
  ): number | Denial {
    if (!file) return 'revoked';
    const denial = admit(who, file.view, this.#lease.holds());
    if (denial) return denial;
    const count = this.#opener.copy(opened.slot, opened.generation, offset, into);
    return count < 0 ? 'revoked' : count;
  }

  release({ slot, generation }: OpenFile): void {
    this.#opener.release(slot, generation);
  }
}
