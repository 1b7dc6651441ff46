// Whoever sits between a host and its service: passes everything on, or cuts the line, or answers in the service's place. It
// keeps the last answer to each path, so that a test can play it again.
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
}

const NOT_FOUND: Answer = { status: 404, body: Buffer.from('{"code":"not-found","message":"withheld"}') };

export class Proxy implements AsyncDisposable {
  /** What it says instead of the service; undefined passes on. Paths without `/v1/`. */
  answer: (path: string) => Answer | undefined = () => undefined;
  /** The last answer of the service to each path that is no stream. */
  readonly heard = new Map<string, Answer>();
  /** Every path that was asked for. */
  readonly asked: string[] = [];
  readonly #server: Server;
  readonly #service: string;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(server: Server, service: string) {
    this.#server = server;
    this.#service = service;
    server.on('connection', (socket) => {
      if (this.#isCut) socket.destroy();
      this.#sockets.add(socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined));
    });
    server.on('request', (call, reply) => {
      this.#pass(call, reply).catch(() => reply.destroy());
    });
  }

  static async start(service: string): Promise<Proxy> {
    const server = createServer();
    const proxy = new Proxy(server, service);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Nobody answers, and nothing is pushed. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** As it was in the beginning. */
  mend(): void {
    this.#isCut = false;
    this.answer = () => undefined;
  }

  async #pass(call: IncomingMessage, reply: ServerResponse): Promise<void> {
    const path = (call.url ?? '').replace('/v1/', '');
    this.asked.push(path);
    const own = this.answer(path);
    if (own) {
      call.resume();
      reply.writeHead(own.status, { 'content-type': 'application/json' }).end(own.body);
      return;
    }
    const { method, headers } = call;
    const on = request(`${this.#service}${call.url ?? ''}`, { method, headers, agent: false });
    on.on('error', () => reply.destroy());
    reply.on('close', () => on.destroy());
    call.pipe(on);
    const [answer] = (await once(on, 'response')) as [IncomingMessage];
    reply.writeHead(answer.statusCode ?? 0, answer.headers);
    if (path.startsWith('events')) {
      reply.flushHeaders();
      answer.on('error', () => reply.destroy()).pipe(reply);
      return;
    }
    const body = await buffer(answer);
    this.heard.set(path.replace(/^echo\/.*/, 'echo'), { status: answer.statusCode ?? 0, body });
    reply.end(body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Withholds what matches. */
export function withhold(what: RegExp): Proxy['answer'] {
  return (path) => (what.test(path) ? NOT_FOUND : undefined);
}
