// What hosts say: their receipts, and their statements in a drill. Those that come together are committed together: a change
// makes every host write one, and each commit costs a disk's flush. Whoever follows them reads at its own pace, a page at a time, so that nothing piles up
// here for a slow reader; its connection is cut when it takes nothing for too long.
import type { StoredReceipt } from '../manifest/realm/exchange.ts';
import { EXCHANGE_LIMITS } from '../manifest/realm/exchange.ts';
import type { Clock } from './clock.ts';
import { ServiceError } from './errors.ts';
import type { Inbox, PostedWord } from './store/inbox.ts';

/** How long a receipt waits for others, in milliseconds. */
const GATHER_MS = 2;
/** Bytes of receipts in one page; the last one may exceed them. */
const PAGE_BYTES = 1 << 20;
/** Streams of `GET /v1/receipts/events`: one for each operator who waits. */
const READERS = 64;

interface Waiting {
  readonly words: readonly Omit<PostedWord, 'at'>[];
  readonly stored: () => void;
  readonly failed: (error: unknown) => void;
}

export class ReceiptBook implements Disposable {
  readonly #inbox: Inbox;
  readonly #clock: Clock;
  readonly #mostReaders: number;
  #waiting: Waiting[] = [];
  #moved = Promise.withResolvers<undefined>();
  #readers = 0;
  #isClosed = false;

  constructor(inbox: Inbox, clock: Clock, mostReaders = READERS) {
    this.#inbox = inbox;
    this.#clock = clock;
    this.#mostReaders = mostReaders;
  }

  /** Resolves when they are durable; the caller has verified them. @throws ServiceError store-failed */
  put(words: Waiting['words']): Promise<void> {
    return new Promise((stored, failed) => {
      this.#waiting.push({ words, stored, failed });
      if (this.#waiting.length === 1) void this.#commitSoon();
    });
  }

  /** A page of what came after a number, and the highest number there is. */
  async page(after: number): Promise<{ receipts: readonly StoredReceipt[]; last: number }> {
    return { receipts: await this.#read(after), last: await this.#inbox.lastReceipt() };
  }

  /** @throws ServiceError streams-exhausted */
  checkRoom(): void {
    if (this.#isClosed || this.#readers >= this.#mostReaders) {
      throw new ServiceError('streams-exhausted', 'this service takes no more readers of receipts');
    }
  }

  /** Pages of what came after a number and of what comes, until the book is closed or `signal` aborts. */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<readonly StoredReceipt[]> {
    this.#readers++;
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    try {
      while (!this.#isClosed && !signal.aborted) {
        const moved = this.#moved.promise;
        const receipts = await this.#read(after);
        const newest = receipts.at(-1)?.id;
        if (newest === undefined) {
          await Promise.race([moved, aborted]);
          continue;
        }
        after = newest;
        yield receipts;
      }
    } finally {
      this.#readers--;
    }
  }

  /** Ends every reader. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#moved.resolve(undefined);
  }

  #read(after: number): Promise<readonly StoredReceipt[]> {
    return this.#inbox.receiptsAfter(after, EXCHANGE_LIMITS.receiptsPerAnswer, PAGE_BYTES);
  }

  async #commitSoon(): Promise<void> {
    await this.#clock.sleep(GATHER_MS);
    const batch = this.#waiting;
    this.#waiting = [];
    const at = this.#clock.monotonicUs();
    try {
      await this.#inbox.putReceipts(batch.flatMap(({ words }) => words.map((word) => ({ ...word, at }))));
      for (const { stored } of batch) stored();
    } catch (error) {
      for (const { failed } of batch) failed(error);
    }
    const { resolve } = this.#moved;
    this.#moved = Promise.withResolvers();
    if (this.#isClosed) this.#moved.resolve(undefined);
    resolve(undefined);
  }
}
