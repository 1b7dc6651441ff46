// A real service on loopback for tests, with a clock that the test moves, and the few HTTP calls a client makes.
// `await using service = await startTestService()` ends it and removes its directory.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Json } from '../../manifest/json.ts';
import { encodeGenesis, encodePublish, parseNews, parseOnlineKeys } from '../../manifest/realm/exchange.ts';
import type { Genesis, News, OnlineKeys, Publish } from '../../manifest/realm/exchange.ts';
import { trustRoot, updateSnapshot, updateTargets, updateTimestamp } from '../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../manifest/tuf/trusted-set.ts';
import { systemClock } from '../../service/clock.ts';
import type { Clock } from '../../service/clock.ts';
import type { FanOutLimits } from '../../service/fan-out.ts';
import { startService } from '../../service/service.ts';
import { TestRealm } from './realm.ts';

export interface TestClock extends Clock {
  advance(milliseconds: number): void;
}

/** Tells a time that only `advance` moves on; timers are real. */
export function makeClock(start = Date.now()): TestClock {
  let now = start;
  return { ...systemClock, now: () => now, advance: (milliseconds) => void (now += milliseconds) };
}

export interface Reply {
  readonly status: number;
  readonly body: Json & { readonly [name: string]: Json };
}

/** What a client does, against any service. */
export class TestClient {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async get(path: string): Promise<Response> {
    return fetch(`${this.url}/v1/${path}`);
  }

  async file(path: string): Promise<Uint8Array> {
    const response = await this.get(path);
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response.bytes();
  }

  async post(path: string, body: string | Uint8Array): Promise<Reply> {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${this.url}/v1/${path}`, { method: 'POST', headers, body });
    return { status: response.status, body: (await response.json()) as Reply['body'] };
  }

  async onlineKeys(): Promise<OnlineKeys> {
    return parseOnlineKeys(await this.file('online-keys'));
  }

  create(genesis: Genesis): Promise<Reply> {
    return this.post('realm', JSON.stringify(encodeGenesis(genesis)));
  }

  publish(publish: Publish): Promise<Reply> {
    return this.post('publish', JSON.stringify(encodePublish(publish)));
  }

  /** Fetches and verifies, as a client that knows only the first root does. */
  async verify(root: Uint8Array, now: number, namespaces: readonly string[] = []): Promise<TrustedSet> {
    let set = updateTimestamp(trustRoot(root), await this.file('metadata/timestamp.json'), now);
    const snapshot = set.timestamp?.role.snapshot.version ?? 0;
    set = updateSnapshot(set, await this.file(`metadata/${snapshot}.snapshot.json`), now);
    for (const name of ['targets', ...namespaces]) {
      const version = set.snapshot?.role.roles.get(name)?.version ?? 0;
      set = updateTargets(set, name, await this.file(`metadata/${version}.${name}.json`), now);
    }
    return set;
  }

  async events(lastEventId?: string): Promise<EventStream> {
    const abort = new AbortController();
    const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    const response = await fetch(`${this.url}/v1/events`, { headers, signal: abort.signal });
    if (!response.ok || !response.body) throw new Error(`events: ${response.status}`);
    return new EventStream(response.body.pipeThrough(new TextDecoderStream()).getReader(), abort);
  }
}

export interface NewsEvent {
  readonly id: string;
  readonly news: News;
}

/** Reads a stream of server-sent events; comments are skipped. */
export class EventStream implements Disposable {
  readonly #reader: ReadableStreamDefaultReader<string>;
  readonly #abort: AbortController;
  #text = '';

  constructor(reader: ReadableStreamDefaultReader<string>, abort: AbortController) {
    this.#reader = reader;
    this.#abort = abort;
  }

  /** The next event; undefined when the service has ended the stream. */
  async next(): Promise<NewsEvent | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        const [, id, data] = /^id: (\d+)\nevent: news\ndata: (.*)$/.exec(block) ?? [];
        if (id !== undefined && data !== undefined) return { id, news: parseNews(Buffer.from(data)) };
        continue;
      }
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += value;
    }
  }

  [Symbol.dispose](): void {
    this.#abort.abort();
  }
}

export interface TestService extends AsyncDisposable {
  readonly data: string;
  readonly clock: TestClock;
  readonly client: TestClient;
  /** The lines it logged. */
  readonly events: readonly string[];
  /** Ends it and starts another on the same directory. */
  restart(): Promise<TestService>;
}

export async function startTestService(
  options: { data?: string; clock?: TestClock; fanOut?: FanOutLimits } = {},
): Promise<TestService> {
  const { data = mkdtempSync(join(tmpdir(), 'lapse-service-')), clock = makeClock(), ...rest } = options;
  const events: string[] = [];
  const log = (event: string): void => void events.push(event);
  const service = await startService({ data, listen: { host: '127.0.0.1', port: 0 }, clock, log, ...rest });
  return {
    data,
    clock,
    client: new TestClient(service.url),
    events,
    async restart() {
      await service[Symbol.asyncDispose]();
      return startTestService({ ...options, data, clock });
    },
    async [Symbol.asyncDispose]() {
      await service[Symbol.asyncDispose]();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** A service whose realm has the namespace `payments` with `payments/db@1`. */
export async function startPayments(
  options: { lease?: number; fanOut?: FanOutLimits } = {},
): Promise<{ service: TestService; client: TestClient; realm: TestRealm }> {
  const { lease = 600, ...rest } = options;
  const service = await startTestService(rest);
  const { client } = service;
  const realm = await TestRealm.make(await client.onlineKeys(), { now: service.clock.now(), lease });
  const replies = [
    await client.create(realm.genesis),
    await client.publish(realm.delegate('payments')),
    await client.publish(await realm.put('payments', 'db')),
  ];
  const refused = replies.find(({ status }) => status >= 300);
  if (refused) throw new Error(`the realm was refused: ${JSON.stringify(refused)}`);
  return { service, client, realm };
}
