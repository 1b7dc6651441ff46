// The streams of GET /v1/events. Each remembers the last revision it was sent; whenever the realm moves, those that
// stand at the same revision get the same bytes, encoded once. A stream whose reader is slow is dropped and never
// waited for: it comes back with Last-Event-ID and gets what it missed in one event. One whose host is no longer a
// member is cut, and is sent nothing of the change that removed it.
import type { Writable } from 'node:stream';
import { encodeNews } from '../manifest/realm/exchange.ts';
import type { News } from '../manifest/realm/exchange.ts';
import { FLEET, FLEET_HOSTS } from '../manifest/realm/realm.ts';
import type { Clock } from './clock.ts';
import { ServiceError } from './errors.ts';
import type { Log } from './log.ts';
import type { Change } from './store/store.ts';

export interface NewsSource {
  news(since: number | undefined): Promise<{ readonly revision: number; readonly news: News }>;
  watch(listener: (change: Change) => void): Disposable;
  /** By the keys that hosts sign with. */
  members(): Promise<{ readonly byKid: ReadonlyMap<string, unknown> }>;
}

interface Subscriber {
  /** The key of the host that reads. */
  readonly kid: string;
  /** The last revision it was sent. */
  since: number | undefined;
}

export interface FanOutLimits {
  readonly streams: number;
  /** Bytes that may wait in a stream's buffer when the next event comes. */
  readonly backlogBytes: number;
  readonly keepAliveMs: number;
}

export const FAN_OUT_LIMITS: FanOutLimits = { streams: 16_384, backlogBytes: 1 << 20, keepAliveMs: 15_000 };

const KEEP_ALIVE = Buffer.from(': keep-alive\n\n');

export class FanOut implements Disposable {
  readonly #streams = new Map<Writable, Subscriber>();
  readonly #behind = new Set<Writable>();
  /** Those whose host may have been removed since it was asked last. */
  readonly #suspects = new Set<Writable>();
  readonly #resources = new DisposableStack();
  readonly #source: NewsSource;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #limits: FanOutLimits;
  #newest = 0;
  #running = false;

  constructor(source: NewsSource, clock: Clock, log: Log, limits: FanOutLimits = FAN_OUT_LIMITS) {
    this.#source = source;
    this.#clock = clock;
    this.#log = log;
    this.#limits = limits;
    this.#resources.use(source.watch((change) => this.#moved(change)));
    this.#resources.use(clock.every(limits.keepAliveMs, () => this.#keepAlive()));
  }

  get size(): number {
    return this.#streams.size;
  }

  /** @throws ServiceError streams-exhausted */
  checkRoom(): void {
    if (this.#resources.disposed || this.size >= this.#limits.streams) {
      throw new ServiceError('streams-exhausted', 'this service takes no more streams');
    }
  }

  /** Sends what the stream lacks after revision `since`, then everything new until it closes. */
  subscribe(stream: Writable, kid: string, since: number | undefined): void {
    // Its `close` is over already and would never be heard.
    if (stream.destroyed) return;
    this.#streams.set(stream, { kid, since });
    stream.once('close', () => this.#forget(stream));
    // A write that crosses the reader's going away fails; `close` follows, and nobody else needs to know.
    stream.on('error', () => this.#forget(stream));
    this.#behind.add(stream);
    // The host may have been removed between its token and here.
    this.#suspects.add(stream);
    void this.#run();
  }

  /** Ends every stream. */
  [Symbol.dispose](): void {
    this.#resources.dispose();
    for (const stream of this.#streams.keys()) {
      this.#forget(stream);
      stream.end();
    }
  }

  #moved({ revision, keys }: Change): void {
    this.#newest = revision;
    if (keys.some(isMembership)) for (const stream of this.#streams.keys()) this.#suspects.add(stream);
    for (const stream of this.#streams.keys()) this.#behind.add(stream);
    void this.#run();
  }

  /** One at a time: commits that come meanwhile merge into the next event. */
  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    for (let [stream] = this.#behind; stream; [stream] = this.#behind) {
      await this.#cutStrangers();
      await this.#catchUp(this.#streams.get(stream)?.since);
    }
    this.#running = false;
  }

  /** Brings all that stand at `since` up to date, with one event. */
  async #catchUp(since: number | undefined): Promise<void> {
    const event = await this.#read(since);
    for (const [stream, subscriber] of this.#streams) {
      if (subscriber.since !== since || !this.#behind.has(stream)) continue;
      if (!event) {
        this.#drop(stream);
        continue;
      }
      subscriber.since = event.revision;
      if (event.revision >= this.#newest) this.#behind.delete(stream);
      this.#send(stream, event.bytes);
    }
  }

  /** Cuts the streams of hosts that are no longer members; whoever cannot be looked up is none. */
  async #cutStrangers(): Promise<void> {
    if (this.#suspects.size === 0) return;
    const suspects = [...this.#suspects];
    this.#suspects.clear();
    const members = await this.#readMembers();
    for (const stream of suspects) {
      const subscriber = this.#streams.get(stream);
      if (subscriber && !members?.has(subscriber.kid)) this.#drop(stream);
    }
  }

  async #readMembers(): Promise<ReadonlyMap<string, unknown> | undefined> {
    try {
      return (await this.#source.members()).byKid;
    } catch (error) {
      this.#log('members-failed', { error: String(error) });
      return undefined;
    }
  }

  async #read(since: number | undefined): Promise<{ revision: number; bytes: Buffer } | undefined> {
    try {
      const { revision, news } = await this.#source.news(since);
      const { bootId: boot } = this.#clock;
      const data = JSON.stringify(encodeNews({ ...news, at: this.#clock.monotonicUs(), boot }));
      return { revision, bytes: Buffer.from(`id: ${revision}\nevent: news\ndata: ${data}\n\n`) };
    } catch (error) {
      this.#log('news-failed', { error: String(error) });
      return undefined;
    }
  }

  #send(stream: Writable, bytes: Buffer): void {
    if (stream.writableLength <= this.#limits.backlogBytes) {
      stream.write(bytes);
      return;
    }
    this.#log('slow-stream-dropped', { backlog: stream.writableLength });
    this.#drop(stream);
  }

  #keepAlive(): void {
    for (const stream of this.#streams.keys()) this.#send(stream, KEEP_ALIVE);
  }

  #drop(stream: Writable): void {
    this.#forget(stream);
    stream.destroy();
  }

  #forget(stream: Writable): void {
    this.#streams.delete(stream);
    this.#behind.delete(stream);
    this.#suspects.delete(stream);
  }
}

function isMembership(key: string): boolean {
  return key.endsWith(`.${FLEET}.json`) || key.endsWith(`.${FLEET_HOSTS}.json`);
}
