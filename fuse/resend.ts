/**
 * Taking over requests on kernels without RESEND (before 6.9), where what an earlier server took and never answered is
 * lost: nobody is told of it, and its callers wait for ever. They are answered with EACCES. The kernel numbers requests
 * upwards in steps of 2 and hands them out in that order, so all that is lost is numbered below the first request that
 * the new server reads, and nothing of its own is. For the main thread.
 */
import { write, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { ERRNO } from './errno.ts';
import { FuseError, systemCode } from './errors.ts';

const UNIQUE_AT = 8;
const STEP = 2n;
/** The kernel marks what it sends again. */
const RESENT = 1n << 63n;
const REPLY = { length: 0, error: 4, unique: 8, bytes: 16 } as const;
/** How far back is looked: a request is lost among those that were taken last. About 0.1 s. */
const MAX_STEPS = 65_536;
/** Written in one go, before the event loop has its turn. */
const SLICE = 1024;

export interface LostOptions {
  readonly device: number;
  /** The `unique` of the first request that this server read; of several threads, only one may read before that. */
  readonly below: bigint;
  /** How many requests the earlier server can have had in hand: one for each thread, and those it had parked. */
  readonly most: number;
}

/** The `unique` of a request, as the kernel counts. */
export function uniqueOf(request: Uint8Array): bigint {
  return new DataView(request.buffer, request.byteOffset).getBigUint64(UNIQUE_AT, true) & ~RESENT;
}

/** Refuses what was lost; returns how many waited. */
export async function refuseLost({ device, below, most }: LostOptions): Promise<number> {
  const reply = Buffer.alloc(REPLY.bytes);
  reply.writeUInt32LE(REPLY.bytes, REPLY.length);
  reply.writeInt32LE(ERRNO.EACCES, REPLY.error);
  let found = 0;
  let unique = below - STEP;
  for (let step = 1; step <= MAX_STEPS && unique > 0n && found < most; step += 1, unique -= STEP) {
    reply.writeBigUInt64LE(unique, REPLY.unique);
    if (step % SLICE === 0 ? await replied(device, reply) : repliedAtOnce(device, reply)) found += 1;
  }
  return found;
}

/** False when nobody waits for this number. */
function repliedAtOnce(device: number, reply: Uint8Array): boolean {
  try {
    writeSync(device, reply);
    return true;
  } catch (cause) {
    return nobody(cause);
  }
}

/** The same by the thread pool. */
async function replied(device: number, reply: Uint8Array): Promise<boolean> {
  try {
    await promisify(write)(device, reply);
    return true;
  } catch (cause) {
    return nobody(cause);
  }
}

function nobody(cause: unknown): false {
  if (systemCode(cause) === 'ENOENT') return false;
  throw new FuseError('device-failed', 'the kernel refused a reply', { cause });
}
