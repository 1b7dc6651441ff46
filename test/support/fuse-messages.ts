// Hand-made messages of the kernel, and what a session said to them. Offsets are spelled out on purpose: a layout that
// is wrong in fuse/ must not be right here by sharing its constants.
import { REPLY_BUFFER_BYTES } from '../../fuse/reply.ts';
import { Session } from '../../fuse/session.ts';
import type { Tree } from '../../fuse/tree.ts';
import { StaticTree } from './fuse-static-tree.ts';

export const UNIQUE = 0x8000_0000_0000_1234n;

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
  return bytes;
}

export function u64(...values: (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => bytes.writeBigUInt64LE(BigInt(value), index * 8));
  return bytes;
}

export function message(opcode: number, node: number | bigint, ...parameters: Buffer[]): Buffer {
  const body = Buffer.concat(parameters);
  const caller = u32(1000, 1001, 4242, 0);
  return Buffer.concat([u32(40 + body.length, opcode), u64(UNIQUE), u64(node), caller, body]);
}

export const init = (major: number, minor: number, flags = 0xffff_ffff): Buffer =>
  message(26, 0, u32(major, minor, 131072, flags));
export const lookup = (parent: number, name: string | Buffer): Buffer =>
  message(1, parent, Buffer.from(name), Buffer.alloc(1));
export const open = (node: number, flags = 0): Buffer => message(14, node, u32(flags, 0));
export const read = (node: number, handle: number | bigint, offset: number | bigint, size: number): Buffer =>
  message(15, node, u64(handle, offset), u32(size, 0), u64(0), u32(0, 0));
export const readdir = (
  node: number,
  handle: number | bigint,
  offset: number | bigint,
  size: number,
): Buffer => message(28, node, u64(handle, offset), u32(size, 0), u64(0), u32(0, 0));
export const release = (node: number, handle: number): Buffer =>
  message(18, node, u64(handle), u32(0, 0), u64(0));

const REQUEST_BYTES = 64 * 1024;

export interface Answer {
  readonly error: number;
  readonly unique: bigint;
  readonly payload: Buffer;
}

/** A session over a buffer that can be looked at afterwards. */
export class Conversation {
  readonly requests = new Uint8Array(REQUEST_BYTES);
  readonly buffer = new Uint8Array(new SharedArrayBuffer(REPLY_BUFFER_BYTES));
  readonly faults: unknown[] = [];
  /** Whether the kernel still waits for replies. */
  delivers = true;
  readonly session: Session;
  #answers: Answer[] = [];

  constructor(tree: Tree = new StaticTree()) {
    this.session = new Session({
      tree,
      requestBuffer: this.requests,
      replyBuffer: this.buffer,
      send: (length) => {
        this.#answers.push(parse(this.buffer.subarray(0, length)));
        return this.delivers;
      },
      onFault: (error) => this.faults.push(error),
    });
  }

  /** All replies to one message; a session owes at most one. */
  say(bytes: Uint8Array): Answer[] {
    this.#answers = [];
    this.requests.set(bytes);
    this.session.handle(bytes.length);
    return this.#answers;
  }

  ask(bytes: Uint8Array): Answer {
    const [answer, ...more] = this.say(bytes);
    if (answer === undefined || more.length > 0) throw new Error('not exactly one reply');
    return answer;
  }

  /** Whether nothing of any reply is left in the buffer. */
  isWiped(): boolean {
    return this.buffer.every((byte) => byte === 0);
  }
}

function parse(reply: Uint8Array): Answer {
  const bytes = Buffer.from(reply);
  if (bytes.readUInt32LE(0) !== bytes.length) throw new Error('the length of a reply is wrong');
  return { error: bytes.readInt32LE(4), unique: bytes.readBigUInt64LE(8), payload: bytes.subarray(16) };
}
