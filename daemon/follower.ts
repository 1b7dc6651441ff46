// Follows the service: news is pushed over one stream and served at once; besides, the newest timestamp is asked
// for every third of the lease, since only such a request renews it. While the stream is down it is asked for more
// often. Each answer is verified before anything happens; a failure changes nothing, and the lease runs on.
import type { Clock } from '../client/clock.ts';
import { leaseMs } from '../manifest/realm/lease.ts';
import type { Transport } from '../client/transport.ts';
import type { Updater } from '../client/updater.ts';
import type { Lease } from './lease.ts';
import type { Log } from './log.ts';
import type { Serving } from './serving.ts';

/** Milliseconds. While the stream is down, news is asked for at least this often. */
const POLL_MS = 2000;
const RETRY_MS = { least: 100, most: 5000 } as const;

export interface FollowerParts {
  readonly updater: Updater;
  readonly transport: Transport;
  readonly serving: Serving;
  readonly lease: Lease;
  readonly clock: Clock;
  readonly log: Log;
}

export class Follower {
  readonly #parts: FollowerParts;
  #streaming = false;
  #lastError: string | undefined;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  get streaming(): boolean {
    return this.#streaming;
  }

  /** Why the last attempt to get news failed, until one succeeds. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#poll(signal), this.#listen(signal)]);
  }

  async #poll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#attempt(signal, () => this.#refresh(signal));
      await this.#parts.clock.sleep(this.#pollMs(), signal);
    }
  }

  #pollMs(): number {
    const { timestamp } = this.#parts.updater.state.set;
    const third = timestamp && this.#lastError === undefined ? leaseMs(timestamp) / 3 : POLL_MS;
    return this.#streaming ? third : Math.min(third, POLL_MS);
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    const { updater, serving, lease } = this.#parts;
    const { leaseEnd } = await updater.refresh();
    // The newest state, not the one that this request led to: what came since may be a revocation.
    const { state } = updater;
    await serving.apply(state);
    await this.#save();
    const [failure] = state.failures.values();
    if (failure) throw failure;
    if (!signal.aborted) lease.renew(leaseEnd);
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { transport, clock, updater, serving } = this.#parts;
    let lastId: string | undefined;
    for (let pause: number = RETRY_MS.least; !signal.aborted; pause = Math.min(pause * 2, RETRY_MS.most)) {
      await this.#attempt(signal, async () => {
        for await (const { id, news } of transport.news(lastId, signal)) {
          this.#streaming = true;
          await updater.offer(news);
          await serving.apply(updater.state, news.files);
          await this.#save();
          lastId = id;
          pause = RETRY_MS.least;
        }
      });
      this.#streaming = false;
      await clock.sleep(pause, signal);
    }
  }

  /** Not beside an older server that still serves, and saves. */
  async #save(): Promise<void> {
    const { serving, updater } = this.#parts;
    if (serving.begun) await updater.persist();
  }

  async #attempt(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#lastError = undefined;
    } catch (error) {
      if (signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      if (message !== this.#lastError) this.#parts.log.warn(`no news: ${message}`);
      this.#lastError = message;
    }
  }
}
