// HTTP to the manifest service. It moves bytes, bounded in size and time, and believes none of them: verification
// is the updater's. Every failure is a ClientError that says whether the service was reached.
import { createParser } from 'eventsource-parser';
import { isLapseError } from '../manifest/errors.ts';
import { parseJson } from '../manifest/json.ts';
import type { JsonObject } from '../manifest/json.ts';
import { LIMITS } from '../manifest/limits.ts';
import {
  EXCHANGE_LIMITS,
  encodeGenesis,
  encodePublish,
  parseNews,
  parseOnlineKeys,
  parsePublished,
} from '../manifest/realm/exchange.ts';
import type { Genesis, News, OnlineKeys, Publish, Published } from '../manifest/realm/exchange.ts';
import { object, string } from '../manifest/shape.ts';
import type { IncomingMessage } from 'node:http';
import type { Clock } from './clock.ts';
import { ClientError } from './errors.ts';
import { readBody, send } from './http.ts';
import type { HttpRequest } from './http.ts';

/** How long one request may take, in milliseconds, from sending to the last byte. */
const REQUEST_MS = 10_000;
/** The service sends a comment every 15 s; a stream silent for longer than this, in milliseconds, is dead. */
const SILENCE_MS = 40_000;

export interface Transport {
  readonly url: string;
  /** A metadata file under its consistent name, e.g. `3.targets.json`. @throws ClientError not-found */
  metadata(file: string, maxBytes: number): Promise<Uint8Array>;
  /** A target under its consistent name, e.g. `payments/SHA256.db-password@3`. */
  target(file: string, maxBytes: number): Promise<Uint8Array>;
  onlineKeys(): Promise<OnlineKeys>;
  createRealm(genesis: Genesis): Promise<Published>;
  publish(publish: Publish): Promise<Published>;
  /** News as it is pushed, until the stream or the signal ends. `lastId` resumes. */
  news(lastId: string | undefined, signal: AbortSignal): AsyncIterable<{ id: string; news: News }>;
}

export function httpTransport(service: string, clock: Clock): Transport {
  const url = serviceUrl(service);
  const exchange = async (request: Pick<HttpRequest, 'method' | 'path' | 'body'>, maxBytes: number) => {
    const answer = await send({ to: url, ...request, signal: clock.deadline(REQUEST_MS) });
    return accepted(answer, url, maxBytes);
  };
  const get = (path: string, maxBytes: number) => exchange({ method: 'GET', path }, maxBytes);
  const post = async (path: string, body: JsonObject) =>
    parsePublished(await exchange({ method: 'POST', path, body }, LIMITS.timestampBytes));
  return {
    url,
    metadata: (file, maxBytes) => get(`/v1/metadata/${encodeURIComponent(file)}`, maxBytes),
    target: (file, maxBytes) =>
      get(`/v1/targets/${file.split('/').map(encodeURIComponent).join('/')}`, maxBytes),
    onlineKeys: async () => parseOnlineKeys(await get('/v1/online-keys', LIMITS.timestampBytes)),
    createRealm: (genesis) => post('/v1/realm', encodeGenesis(genesis)),
    publish: (publish) => post('/v1/publish', encodePublish(publish)),
    news: (lastId, signal) => stream(url, lastId, signal, clock),
  };
}

/** Plain HTTP is for loopback only, until the service speaks HTTPS. */
export function serviceUrl(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol !== 'http:' || !/^(127(\.\d+){3}|\[::1\]|localhost)$/.test(url.hostname)) {
    throw new ClientError('usage', `the service must be http:// on a loopback address, not ${text}`);
  }
  return url.origin;
}

/** The body of an answer that says yes. */
async function accepted(answer: IncomingMessage, url: string, maxBytes: number): Promise<Buffer> {
  const ok = answer.statusCode !== undefined && answer.statusCode >= 200 && answer.statusCode < 300;
  if (!ok) throw await refusal(answer, url);
  return readBody(answer, url, maxBytes);
}

/** The service's own typed answer, kept as far as it is well formed. */
async function refusal(answer: IncomingMessage, url: string): Promise<ClientError> {
  let reason = `HTTP status ${answer.statusCode ?? 0}`;
  try {
    const body = await readBody(answer, url, LIMITS.timestampBytes);
    const error = object(parseJson(body, LIMITS.timestampBytes), 'error');
    reason = `${string(error['message'], 'message')} (${string(error['code'], 'code')})`;
  } catch (error) {
    if (!isLapseError(error)) throw error;
  }
  if (answer.statusCode === 404)
    return new ClientError('not-found', `the service has no such file: ${reason}`);
  if (answer.statusCode !== undefined && answer.statusCode >= 500) {
    return new ClientError('service-failed', `the service failed: ${reason}`);
  }
  if (answer.statusCode === 409) return new ClientError('service-conflict', reason);
  return new ClientError('service-refused', `the service refused: ${reason}`);
}

async function* stream(
  url: string,
  lastId: string | undefined,
  signal: AbortSignal,
  clock: Clock,
): AsyncGenerator<{ id: string; news: News }> {
  const silence = new AbortController();
  let heard = clock.boot();
  using _watch = clock.every(SILENCE_MS / 4, () => {
    if (clock.boot() - heard > SILENCE_MS) silence.abort();
  });
  const answer = await send({
    to: url,
    method: 'GET',
    path: '/v1/events',
    headers: { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) },
    signal: AbortSignal.any([signal, silence.signal]),
  });
  if (answer.statusCode !== 200) throw await refusal(answer, url);
  const events: { id: string; news: News }[] = [];
  let pending = 0;
  const parser = createParser({
    onEvent: ({ event, id, data }) => {
      pending = 0;
      if (event === 'news') events.push({ id: id ?? '', news: parseNews(Buffer.from(data)) });
    },
  });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      heard = clock.boot();
      pending += chunk.length;
      parser.feed(decoder.decode(chunk, { stream: true }));
      if (pending > 2 * EXCHANGE_LIMITS.event) {
        throw new ClientError('answer-too-large', 'an event of the service is too large');
      }
      yield* events.splice(0);
    }
  } catch (cause) {
    if (signal.aborted) return;
    throw isLapseError(cause)
      ? cause
      : new ClientError('stream-ended', 'the event stream broke off', { cause });
  }
}
