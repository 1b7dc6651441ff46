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
import type { Clock } from './clock.ts';
import { ClientError } from './errors.ts';

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
  const get = async (path: string, maxBytes: number): Promise<Uint8Array> => {
    const signal = clock.deadline(REQUEST_MS);
    return readBody(await request(`${url}${path}`, { signal }), maxBytes);
  };
  const post = async (path: string, body: JsonObject): Promise<Published> => {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: clock.deadline(REQUEST_MS),
    };
    return parsePublished(await readBody(await request(`${url}${path}`, init), LIMITS.timestampBytes));
  };
  return {
    url,
    metadata: (file, maxBytes) => get(`/v1/metadata/${encodeURIComponent(file)}`, maxBytes),
    target: (file, maxBytes) =>
      get(`/v1/targets/${file.split('/').map(encodeURIComponent).join('/')}`, maxBytes),
    onlineKeys: async () => parseOnlineKeys(await get('/v1/online-keys', LIMITS.timestampBytes)),
    createRealm: (genesis) => post('/v1/realm', encodeGenesis(genesis)),
    publish: (publish) => post('/v1/publish', encodePublish(publish)),
    news: (lastId, signal) => stream(`${url}/v1/events`, lastId, signal, clock),
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

async function request(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, redirect: 'error' });
  } catch (cause) {
    throw unreachable(url, cause);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

function unreachable(url: string, cause: unknown): ClientError {
  const { origin } = new URL(url);
  return new ClientError('service-unreachable', `no answer from ${origin}; is lapse-service running there?`, {
    cause,
  });
}

/** The service's own typed answer, kept as far as it is well formed. */
async function refusal(response: Response): Promise<ClientError> {
  let reason = `HTTP status ${response.status}`;
  try {
    const body = object(
      parseJson(await readBody(response, LIMITS.timestampBytes), LIMITS.timestampBytes),
      'error',
    );
    reason = `${string(body['message'], 'message')} (${string(body['code'], 'code')})`;
  } catch (error) {
    if (!isLapseError(error)) throw error;
  }
  if (response.status === 404) return new ClientError('not-found', `the service has no such file: ${reason}`);
  if (response.status === 409) return new ClientError('service-conflict', reason);
  return new ClientError('service-refused', `the service refused: ${reason}`);
}

async function readBody(response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of chunksOf(response)) {
      length += chunk.length;
      if (length > maxBytes) {
        throw new ClientError(
          'answer-too-large',
          `${response.url} answered with more than ${maxBytes} bytes`,
        );
      }
      chunks.push(chunk);
    }
  } catch (cause) {
    throw cause instanceof ClientError ? cause : unreachable(response.url, cause);
  }
  return Buffer.concat(chunks);
}

function chunksOf(response: Response): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  return response.body ?? [];
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
  const response = await request(url, {
    headers: { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) },
    signal: AbortSignal.any([signal, silence.signal]),
  });
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
    for await (const chunk of chunksOf(response)) {
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
