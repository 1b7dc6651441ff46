// One HTTP request, to a host or to a unix socket, on node:http: it starts several times faster than `fetch`, which
// is what an operator in a hurry waits for. Bounded by a signal and a size; redirects are not followed.
import { Agent, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { ClientError } from './errors.ts';

export interface HttpRequest {
  /** `http://127.0.0.1:7700`, or the path of a unix socket. */
  readonly to: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: object;
  readonly signal: AbortSignal;
}

const agent = new Agent({ keepAlive: true });

/** Resolves when the head of the answer is there. @throws ClientError service-unreachable */
export function send({ to, method, path, headers, body, signal }: HttpRequest): Promise<IncomingMessage> {
  const json = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const target = to.startsWith('/')
    ? { socketPath: to }
    : { host: new URL(to).hostname.replace(/^\[|\]$/g, ''), port: new URL(to).port, agent };
  return new Promise((resolve, reject) => {
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
    call.on('error', (cause) => reject(unreachable(to, cause)));
    call.end(json);
  });
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

function unreachable(to: string, cause: unknown): ClientError {
  return new ClientError('service-unreachable', `no answer from ${to}; is it running?`, { cause });
}
