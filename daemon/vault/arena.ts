// The locked arena: the only memory in which plaintext and data keys ever stand. It is one SharedArrayBuffer, so
// that both threads see it, locked against swapping, in a process that may not dump core. Locking fails silently
// without the right limits, so the kernel's own account of it is checked, and without it there is no vault.
import { readFileSync } from 'node:fs';
import sodium from 'sodium-native';
import { DaemonError } from '../errors.ts';

const ALIGNMENT = 64;

/** [offset, offset + length) of the arena. */
export interface Region {
  readonly offset: number;
  readonly length: number;
}

/** @throws DaemonError memory-not-locked, core-dumps-allowed */
export function lockedMemory(bytes: number): SharedArrayBuffer {
  const limits = readFileSync('/proc/self/limits', 'latin1');
  if (!/^Max core file size +0 /m.test(limits)) {
    throw new DaemonError('core-dumps-allowed', 'core dumps must be off: start lapsed with `ulimit -c 0`');
  }
  const memory = new SharedArrayBuffer(bytes);
  try {
    sodium.sodium_mlock(new Uint8Array(memory));
  } catch (cause) {
    throw notLocked(bytes, cause);
  }
  if (lockedBytes(readFileSync('/proc/self/smaps', 'latin1')) < bytes) throw notLocked(bytes);
  return memory;
}

function notLocked(bytes: number, cause?: unknown): DaemonError {
  const advice = 'raise RLIMIT_MEMLOCK (ulimit -l), or make `arena` smaller';
  return new DaemonError('memory-not-locked', `the system did not lock ${bytes} bytes of memory: ${advice}`, {
    cause,
  });
}

/** Bytes in mappings that carry the kernel's flag `lo` (locked), by the text of /proc/self/smaps. */
export function lockedBytes(smaps: string): number {
  let bytes = 0;
  for (const mapping of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    if (!/^VmFlags:.* lo\b/m.test(mapping)) continue;
    bytes += Number(/^Locked: +(\d+) kB$/m.exec(mapping)?.[1] ?? 0) * 1024;
  }
  return bytes;
}

/** First fit over the arena, in the thread that loads. Freed regions are zeroed before anything else uses them. */
export class Arena {
  readonly #bytes: Uint8Array;
  #free: Region[];

  constructor(memory: SharedArrayBuffer) {
    this.#bytes = new Uint8Array(memory);
    this.#free = [{ offset: 0, length: memory.byteLength }];
  }

  /** @throws DaemonError arena-full */
  allocate(bytes: number): Region {
    const length = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    const index = this.#free.findIndex((region) => region.length >= length);
    const found = this.#free[index];
    if (!found) throw new DaemonError('arena-full', `no ${bytes} bytes left in the arena; raise \`arena\``);
    const rest = { offset: found.offset + length, length: found.length - length };
    this.#free.splice(index, 1, ...(rest.length > 0 ? [rest] : []));
    return { offset: found.offset, length };
  }

  bytes({ offset, length }: Region): Uint8Array {
    return this.#bytes.subarray(offset, offset + length);
  }

  /** Zeroes a region and gives it back, joined with its neighbours. */
  release(region: Region): void {
    sodium.sodium_memzero(this.bytes(region));
    const free = [...this.#free, region].sort((a, b) => a.offset - b.offset);
    this.#free = [];
    for (const { offset, length } of free) {
      const last = this.#free.at(-1);
      if (last && last.offset + last.length === offset) {
        this.#free[this.#free.length - 1] = { offset: last.offset, length: last.length + length };
      } else {
        this.#free.push({ offset, length });
      }
    }
  }
}
