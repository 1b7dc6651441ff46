// One HTTP request, to the service or to a unix socket, on node:http: it starts several times faster than `fetch`, which
// is what an operator in a hurry waits for. Bounded by a signal and a size; redirects are not followed. Connections are
// kept, so that the next request pays no handshake; the service keeps idle ones for longer than clients leave them so.
import { Agent, request } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { LapseError } from '../manifest/errors.ts';
import { ClientError } from './errors.ts';
import { PinnedAgent, parsePin } from './tls.ts';

export interface HttpRequest {
  /** `https://HOST:PORT`, `http://127.0.0.1:7700`, or the path of a unix socket. */
  readonly to: string;
  /** Whose key must answer, for https. */
  readonly pin?: string | undefined;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: object;
  readonly signal: AbortSignal;
}

/** Where a service is: the origin of its URL, and for https the pin. */
export interface ServiceAddress {
  readonly url: string;
  readonly pin?: string | undefined;
}

/** How long a kept connection goes without a TCP probe, in milliseconds: shorter than what middleboxes forget. */
const PROBE_MS = 60_000;
const KEPT = { keepAlive: true, keepAliveMsecs: PROBE_MS };
const plainAgent = new Agent(KEPT);
const pinnedAgents = new Map<string, Agent>();

/**
 * A service is reached by https with a pin, or by plain HTTP on this machine.
 * @throws ClientError usage, pin-needed
 */
export function serviceAddress({ url: text, pin }: ServiceAddress): ServiceAddress {
  const url = URL.parse(text);
  if (url?.protocol === 'https:') {
    if (pin === undefined) {
      throw new ClientError(
        'pin-needed',
        `${url.origin} needs a pin; lapse-service prints it when it starts`,
      );
    }
    return { url: url.origin, pin: parsePin(pin) };
  }
  if (url?.protocol !== 'http:' || !/^(127(\.\d+){3}|\[::1\]|localhost)$/.test(url.hostname)) {
    throw new ClientError('usage', `the service is https://, or http:// on a loopback address, not ${text}`);
  }
  return { url: url.origin };
}

/**
 * Resolves when the head of the answer is there.
 * @throws ClientError service-unreachable, pin-mismatch, pin-needed, usage
 */
export async function send(what: HttpRequest): Promise<IncomingMessage> {
  const target = targetOf(what);
  const json = what.body === undefined ? undefined : Buffer.from(JSON.stringify(what.body));
  for (;;) {
    try {
      return await once(what, target, json);
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error;
    }
  }
}

/** @throws ClientError answer-too-large, service-unreachable */
export async function readBody(answer: IncomingMessage, to: string, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) {
        throw new ClientError('answer-too-large', `${to} answered with more than ${maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (cause) {
    throw cause instanceof ClientError ? cause : unreachable(to, cause);
  }
  return Buffer.concat(chunks);
}

/**
 * A kept connection that the other side closed just when it was used again. What only reads is asked once more: each
 * time with one kept connection fewer, at last on a new one, whose failure is an answer.
 */
class StaleConnection extends Error {}

function once({ to, method, path, headers, signal }: HttpRequest, target: RequestOptions, json?: Buffer) {
  return new Promise<IncomingMessage>((resolve, reject) => {
    const call = request({
      ...target,
      method,
      path,
      headers: {
        ...headers,
        ...(json && { 'content-type': 'application/json', 'content-length': json.length }),
      },
      signal,
    });
    call.on('response', resolve);
    call.on('error', (cause) => {
      const isStale = call.reusedSocket && method === 'GET' && !signal.aborted && isClosed(cause);
      reject(isStale ? new StaleConnection() : unreachable(to, cause));
    });
    call.end(json);
  });
}

function isClosed(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE';
}

function targetOf({ to, pin }: HttpRequest): RequestOptions {
  if (to.startsWith('/')) return { socketPath: to };
  const { protocol, hostname, port } = new URL(serviceAddress({ url: to, pin }).url);
  const isPinned = protocol === 'https:';
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (isPinned ? 443 : 80) : port,
    agent: pin !== undefined && isPinned ? pinnedAgent(pin) : plainAgent,
  };
}

function pinnedAgent(pin: string): Agent {
  const known = pinnedAgents.get(pin);
  if (known) return known;
  const agent = new PinnedAgent(parsePin(pin), KEPT);
  pinnedAgents.set(pin, agent);
  return agent;
}

function unreachable(to: string, cause: unknown): LapseError {
  if (cause instanceof LapseError) return cause as LapseError;
  return new ClientError('service-unreachable', `no answer from ${to}; is it running?`, { cause });
}
