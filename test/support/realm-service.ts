// A real service on loopback for tests, over HTTPS, with a clock that the test moves, and the few HTTP calls a client makes.
// `await using service = await startTestService()` ends it and removes its directory.
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { ServiceAddress } from '../../client/http.ts';
import { PinnedAgent, parsePin } from '../../client/tls.ts';
import type { Json } from '../../manifest/json.ts';
import {
  encodeGenesis,
  encodePublish,
  encodeRootChange,
  parseNews,
  parseOnlineKeys,
} from '../../manifest/realm/exchange.ts';
import type { Genesis, News, OnlineKeys, Publish, RoleUpload } from '../../manifest/realm/exchange.ts';
import { delegatorOf } from '../../manifest/realm/realm.ts';
import { trustRoot, updateSnapshot, updateTargets, updateTimestamp } from '../../manifest/tuf/trusted-set.ts';
import type { TrustedSet } from '../../manifest/tuf/trusted-set.ts';
import { systemClock } from '../../service/clock.ts';
import type { Clock } from '../../service/clock.ts';
import type { FanOutLimits } from '../../service/fan-out.ts';
import { startService } from '../../service/service.ts';
import { TestRealm, merged } from './realm.ts';
import type { TestHost } from './realm.ts';

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
  readonly address: ServiceAddress;
  readonly #agent: Agent;
  /** By which it makes its tokens. */
  readonly #clock: Pick<Clock, 'now'>;
  /** Who asks where only hosts may. */
  host: TestHost | undefined;

  constructor(address: ServiceAddress, clock: Pick<Clock, 'now'> = systemClock, host?: TestHost) {
    this.address = address;
    this.#agent = agentFor(address);
    this.#clock = clock;
    this.host = host;
  }

  get url(): string {
    return this.address.url;
  }

  /** The same service, asked by another host. */
  as(host: TestHost | undefined): TestClient {
    return new TestClient(this.address, this.#clock, host);
  }

  async get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response> {
    return responseOf(await this.#send('GET', path, headers ?? (await this.#token(path))));
  }

  async file(path: string): Promise<Uint8Array> {
    const response = await this.get(path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.bytes();
  }

  async post(
    path: string,
    body: string | Uint8Array,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Reply> {
    const sent = { 'content-type': 'application/json', ...(headers ?? (await this.#token(path))) };
    const response = await responseOf(await this.#send('POST', path, sent, body));
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

  changeRoot(root: Uint8Array, roles: readonly RoleUpload[] = []): Promise<Reply> {
    return this.post('root', JSON.stringify(encodeRootChange({ root, roles })));
  }

  /** Fetches and verifies, as a client that knows only the first root does. */
  async verify(root: Uint8Array, now: number, roles: readonly string[] = []): Promise<TrustedSet> {
    let set = updateTimestamp(trustRoot(root), await this.file('metadata/timestamp.json'), now);
    const snapshot = set.timestamp?.role.snapshot.version ?? 0;
    set = updateSnapshot(set, await this.file(`metadata/${snapshot}.snapshot.json`), now);
    for (const name of ['targets', ...roles]) {
      const version = set.snapshot?.role.roles.get(name)?.version ?? 0;
      const delegator = name === 'targets' ? undefined : delegatorOf(name);
      set = updateTargets(set, name, await this.file(`metadata/${version}.${name}.json`), now, delegator);
    }
    return set;
  }

  async events(lastEventId?: string): Promise<EventStream> {
    const resume = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    return this.stream('events', { ...resume, ...(await this.#token('events')) });
  }

  /** Server-sent events of any path. */
  async stream(path: string, headers: Readonly<Record<string, string>> = {}): Promise<EventStream> {
    const answer = await this.#send('GET', path, headers);
    if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode ?? 0}`);
    return new EventStream(answer);
  }

  async #token(path: string): Promise<Readonly<Record<string, string>>> {
    if (!this.host || !/^(events$|targets\/|receipts$)/.test(path)) return {};
    return { authorization: `Bearer ${await this.host.token(this.#clock.now())}` };
  }

  #send(
    method: 'GET' | 'POST',
    path: string,
    headers: Readonly<Record<string, string>>,
    body?: string | Uint8Array,
  ): Promise<IncomingMessage> {
    const { hostname, port } = new URL(this.url);
    const target = { host: hostname, port, agent: this.#agent };
    return new Promise((resolve, reject) => {
      const call = request({ ...target, method, path: `/v1/${path}`, headers }, resolve);
      call.on('error', reject);
      call.end(body);
    });
  }
}

function agentFor({ pin }: ServiceAddress): Agent {
  return pin === undefined
    ? new Agent({ keepAlive: true })
    : new PinnedAgent(parsePin(pin), { keepAlive: true });
}

async function responseOf(answer: IncomingMessage): Promise<Response> {
  const headers = Object.entries(answer.headers).map(([name, value]): [string, string] => [
    name,
    String(value),
  ]);
  return new Response(await buffer(answer), { status: answer.statusCode ?? 0, headers });
}

export interface NewsEvent {
  readonly id: string;
  readonly news: News;
}

/** Reads a stream of server-sent events; comments are skipped. */
export class EventStream implements Disposable {
  readonly #answer: IncomingMessage;
  readonly #chunks: AsyncIterator<string>;
  #text = '';

  constructor(answer: IncomingMessage) {
    this.#answer = answer.setEncoding('utf8');
    this.#chunks = answer[Symbol.asyncIterator]() as AsyncIterator<string>;
  }

  /** The next event; undefined when the service has ended the stream. */
  async next(): Promise<NewsEvent | undefined> {
    const event = await this.nextOf('news');
    return event && { id: event.id, news: parseNews(Buffer.from(event.data)) };
  }

  /** The same for events of any name. */
  async nextOf(name: string): Promise<{ readonly id: string; readonly data: string } | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        const [, id, event, data] = /^id: (\d+)\nevent: (\w+)\ndata: (.*)$/.exec(block) ?? [];
        if (event === name && id !== undefined && data !== undefined) return { id, data };
        continue;
      }
      try {
        const chunk = await this.#chunks.next();
        if (chunk.done === true) return undefined;
        this.#text += chunk.value;
      } catch (error) {
        // A stream that is cut, not ended.
        if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return undefined;
        throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#answer.destroy();
  }
}

export interface TestService extends AsyncDisposable {
  readonly data: string;
  readonly clock: TestClock;
  readonly client: TestClient;
  /** The lines it logged. */
  readonly events: readonly string[];
  /** Ends it and starts another on the same directory, some seconds later. */
  restart(): Promise<TestService>;
}

export interface TestServiceOptions {
  readonly data?: string;
  readonly clock?: TestClock;
  readonly fanOut?: FanOutLimits;
  readonly http?: boolean;
}

export async function startTestService(options: TestServiceOptions = {}): Promise<TestService> {
  const { data = mkdtempSync(join(tmpdir(), 'lapse-service-')), clock = makeClock(), ...rest } = options;
  const events: string[] = [];
  const log = (event: string): void => void events.push(event);
  const service = await startService({ data, listen: { host: '127.0.0.1', port: 0 }, clock, log, ...rest });
  return {
    data,
    clock,
    client: new TestClient({ url: service.url, pin: service.pin }, clock),
    events,
    async restart() {
      await service[Symbol.asyncDispose]();
      // Tokens count in whole seconds, and those from before a start are refused.
      clock.advance(2000 - (clock.now() % 1000));
      return startTestService({ ...options, data, clock });
    },
    async [Symbol.asyncDispose]() {
      await service[Symbol.asyncDispose]();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

export interface Payments {
  readonly service: TestService;
  /** Asks as `host` does. */
  readonly client: TestClient;
  readonly realm: TestRealm;
  readonly host: TestHost;
}

/** A service whose realm has a host `web-1`, and the namespace `payments` with a revoker and `payments/db@1`. */
export async function startPayments(
  options: { lease?: number; fanOut?: FanOutLimits } = {},
): Promise<Payments> {
  const { lease = 600, ...rest } = options;
  const service = await startTestService(rest);
  const realm = await TestRealm.make(await service.client.onlineKeys(), { now: service.clock.now(), lease });
  const namespace = realm.delegate('payments', { revoker: true });
  const secret = await realm.put('payments', 'db');
  const { host, publish } = await realm.join('web-1');
  const replies = [
    await service.client.create(realm.genesis),
    await service.client.publish(merged(merged(namespace, publish), secret)),
  ];
  const refused = replies.find(({ status }) => status >= 300);
  if (refused) throw new Error(`the realm was refused: ${JSON.stringify(refused)}`);
  return { service, client: service.client.as(host), realm, host };
}
