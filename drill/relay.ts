// A line of a given length between hosts and their service: it passes bytes on as they are (TLS goes through it end to
// end), each `delayMs` later than it heard them, in each direction. In user space, since few kernels have netem at hand.
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { once } from 'node:events';
import type { Clock } from '../client/clock.ts';

export interface RelayOptions {
  /** The address to listen on; any free port. */
  readonly listen: string;
  /** The service's, an https URL. */
  readonly service: string;
  readonly delayMs: number;
}

export class Relay implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #clock: Clock;
  readonly #delayMs: number;

  private constructor({ service, delayMs }: RelayOptions, clock: Clock) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    const { hostname: host, port } = new URL(service);
    this.#server = createServer((near) => this.#join(near, connect({ host, port: Number(port) })));
  }

  static async start(options: RelayOptions, clock: Clock): Promise<Relay> {
    const relay = new Relay(options, clock);
    relay.#server.listen(0, options.listen);
    await once(relay.#server, 'listening');
    return relay;
  }

  get url(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `https://${address}:${port}`;
  }

  #join(near: Socket, far: Socket): void {
    // A caller could speak after one round trip of the handshake, which is over here at once.
    this.#pass(near, far, 2 * this.#delayMs);
    this.#pass(far, near, 0);
  }

  /** Every chunk, and the end, after those before it, and as late as it came. */
  #pass(from: Socket, to: Socket, headStartMs: number): void {
    from.setNoDelay(true);
    this.#sockets.add(from);
    let last = this.#wait(headStartMs);
    const later = (work: () => unknown): void => {
      const due = Promise.all([last, this.#wait(this.#delayMs)]);
      last = due.then(() => void work());
    };
    from.on('data', (chunk: Buffer) => later(() => to.write(chunk)));
    from.on('end', () => later(() => to.end()));
    from.on('error', () => undefined);
    from.on('close', () => {
      this.#sockets.delete(from);
      later(() => to.destroySoon());
    });
  }

  /** A timer takes a millisecond where none is asked for. */
  #wait(ms: number): Promise<void> {
    return ms === 0 ? Promise.resolve() : this.#clock.sleep(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }
}
