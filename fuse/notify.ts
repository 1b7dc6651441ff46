/**
 * Takes things out of the kernel's caches: pages, names; and makes it send requests again. Two rules the caller owes.
 * Never call it from the serving thread, and never let that thread wait for it: the kernel takes locks here that an
 * unanswered request may hold, and only the serving thread can answer it. And while nobody serves, a notification may not
 * return. Written by the thread pool, begun in the order of the calls, a few at once: what must not overtake another has to
 * wait for it. Each promise tells whether the kernel had anything to forget.
 */
import { write } from 'node:fs';
import { FuseError, systemCode } from './errors.ts';
import type { NodeId } from './tree.ts';
import { MAX_NAME_BYTES } from './wire.ts';

const HEADER_BYTES = 16;
const HEADER = { length: 0, code: 4 } as const;
const CODE = { INVALIDATE_INODE: 2, INVALIDATE_ENTRY: 3, DELETE: 6, RESEND: 7 } as const;
const INODE_OUT = { node: 0, length: 24 } as const;
const ENTRY_OUT = { parent: 0, nameLength: 8, name: 16 } as const;
const DELETE_OUT = { parent: 0, child: 8, nameLength: 16, name: 24 } as const;

/**
 * Handed to the thread pool at once. One after another would cost a turn of the event loop each, which is most of the time
 * that a thousand take on a busy machine; too many would keep a server's beat waiting behind them.
 */
const AT_ONCE = 32;

type Refusals = ReadonlySet<string | undefined>;
/** A delete that a mount or a child keeps from finishing: the name itself was dropped before. */
const DONE: Refusals = new Set(['EBUSY', 'ENOTEMPTY']);
/** Not cached, or the parent is no directory, so it has no names. */
const NOTHING: Refusals = new Set(['ENOENT', 'ENOTDIR']);
/** The kernel does not know this notification. */
const UNKNOWN: Refusals = new Set(['EINVAL']);

export class Notifier {
  readonly #device: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(device: number) {
    this.#device = device;
  }

  /** Drops every page of a file, from the page cache and from whoever maps it (the next touch is SIGBUS). */
  invalidateInode(node: NodeId): Promise<boolean> {
    // Offset 0 and length 0: all of it.
    return this.#enqueue(message(CODE.INVALIDATE_INODE, INODE_OUT.length, [[INODE_OUT.node, node]]));
  }

  /** Makes the next use of a name ask the server. */
  invalidateEntry(parent: NodeId, name: string): Promise<boolean> {
    return this.#enqueue(named(CODE.INVALIDATE_ENTRY, ENTRY_OUT, name, [[ENTRY_OUT.parent, parent]]));
  }

  /** Makes a name vanish at once, if it still leads to that child. */
  deleteEntry(parent: NodeId, child: NodeId, name: string): Promise<boolean> {
    const nodes = [
      [DELETE_OUT.parent, parent],
      [DELETE_OUT.child, child],
    ] as const;
    return this.#enqueue(named(CODE.DELETE, DELETE_OUT, name, nodes));
  }

  /**
   * Makes the kernel send again what an earlier server took and never answered. What this server has in hand comes again,
   * too, so best before it reads. False on kernels older than 6.9, which cannot (resend.ts).
   */
  resend(): Promise<boolean> {
    return this.#enqueue(message(CODE.RESEND, 0, []), UNKNOWN);
  }

  async #enqueue(bytes: Buffer, nothing = NOTHING): Promise<boolean> {
    if (this.#running === AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await writeNotification(this.#device, bytes, nothing);
    } finally {
      // Whoever waited longest takes this one's place.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}

type NodeField = readonly [at: number, node: NodeId];

function named(
  code: number,
  layout: { nameLength: number; name: number },
  name: string,
  nodes: readonly NodeField[],
): Buffer {
  const length = Buffer.byteLength(name);
  if (length === 0 || length > MAX_NAME_BYTES)
    throw new RangeError(`a name has 1 to ${MAX_NAME_BYTES} bytes, this one ${length}`);
  const bytes = message(code, layout.name + length + 1, nodes);
  bytes.writeUInt32LE(length, HEADER_BYTES + layout.nameLength);
  bytes.write(name, HEADER_BYTES + layout.name);
  return bytes;
}

function message(code: number, bodyLength: number, nodes: readonly NodeField[]): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + bodyLength);
  bytes.writeUInt32LE(bytes.length, HEADER.length);
  bytes.writeInt32LE(code, HEADER.code);
  for (const [at, node] of nodes) bytes.writeBigUInt64LE(BigInt(node), HEADER_BYTES + at);
  return bytes;
}

function writeNotification(device: number, bytes: Buffer, nothing: Refusals): Promise<boolean> {
  return new Promise((resolve, reject) => {
    write(device, bytes, (error) => {
      const code = systemCode(error);
      if (error === null || DONE.has(code)) resolve(true);
      else if (nothing.has(code)) resolve(false);
      else reject(new FuseError('notify-failed', 'the kernel refused a notification', { cause: error }));
    });
  });
}
