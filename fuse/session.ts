/**
 * One request in, one reply out (none for FORGET, BATCH_FORGET and INTERRUPT), and failing closed: a tree that throws is
 * reported and answered with EACCES, a malformed request with EINVAL. File data exists only in the reply buffer, from
 * `Tree.read` until `send` has returned. Nothing here waits, or throws, unless `send` does.
 */
import { ERRNO } from './errno.ts';
import type { Agreement } from './negotiation.ts';
import { Operations } from './operations.ts';
import { Reply } from './reply.ts';
import type { Outcome } from './reply.ts';
import type { Tree } from './tree.ts';
import { OPCODE, Request } from './wire.ts';

const SILENT: ReadonlySet<number> = new Set([
  OPCODE.FORGET,
  OPCODE.BATCH_FORGET,
  OPCODE.INTERRUPT,
  OPCODE.NOTIFY_REPLY,
]);

export interface SessionOptions {
  /** What an earlier server agreed on with the kernel, when this one goes on where that ended. */
  readonly agreement?: Agreement;
  readonly tree: Tree;
  /** Where requests arrive. */
  readonly requestBuffer: Uint8Array;
  /** At least REPLY_BUFFER_BYTES; in locked memory if what is served is secret. */
  readonly replyBuffer: Uint8Array;
  /** Hands the first `length` bytes of the reply buffer to the kernel; false when nobody waits for them any more. */
  readonly send: (length: number) => boolean;
  /** Told of every error of the tree, after which the caller gets EACCES. Must not throw. */
  readonly onFault: (error: unknown) => void;
}

export class Session {
  readonly #request: Request;
  readonly #operations: Operations;
  readonly #reply: Reply;
  readonly #send: SessionOptions['send'];
  readonly #onFault: SessionOptions['onFault'];

  constructor({ agreement, tree, requestBuffer, replyBuffer, send, onFault }: SessionOptions) {
    this.#request = new Request(requestBuffer);
    this.#reply = new Reply(replyBuffer);
    this.#operations = new Operations(tree, this.#reply, agreement);
    this.#send = send;
    this.#onFault = onFault;
  }

  /** What INIT agreed on, once it was answered, or what this server went on with. */
  get agreement(): Agreement | undefined {
    return this.#operations.agreement;
  }

  /** Answers the request that stands in the request buffer. */
  handle(length: number): void {
    const request = this.#request;
    if (!request.load(length)) return;
    try {
      const outcome = this.#answer(request);
      if (SILENT.has(request.opcode)) return;
      // An interrupted open has no descriptor, so no RELEASE would ever come for it.
      if (!this.#send(this.#reply.finish(request, outcome))) this.#withdraw();
    } finally {
      this.#reply.wipe();
    }
  }

  #answer(request: Request): Outcome {
    try {
      return this.#operations.answer(request);
    } catch (error) {
      this.#onFault(error);
      this.#withdraw();
      return ERRNO.EACCES;
    }
  }

  #withdraw(): void {
    try {
      this.#operations.withdraw(this.#request);
    } catch (error) {
      this.#onFault(error);
    }
  }
}
