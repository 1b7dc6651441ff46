// TLS to the service, which one thing alone identifies: the sha256 of its public key, the pin. No authority and no name
// is asked. The check stands between the handshake and the pool of connections, so no request, and not a byte of one, can
// meet a connection that was not checked; sessions are never resumed, so there is no handshake without a key to check.
import { createHash } from 'node:crypto';
import { Agent } from 'node:http';
import type { AgentOptions, ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { ClientError } from './errors.ts';

/** `sha256:` and 43 characters of base64url: the sha256 of a public key's SubjectPublicKeyInfo. */
export type Pin = string & { readonly __brand: 'pin' };

/** For the handshake, in milliseconds; the request behind it has its own deadline. */
const HANDSHAKE_MS = 10_000;

/** @throws ClientError usage */
export function parsePin(text: string): Pin {
  const [, hash = ''] = /^sha256:([A-Za-z0-9_-]{43})$/.exec(text) ?? [];
  if (hash !== '' && Buffer.from(hash, 'base64url').toString('base64url') === hash) return text as Pin;
  throw new ClientError('usage', `a pin looks like sha256:nP4yq…, as lapse-service prints it, not ${text}`);
}

/** Hands out connections to the holder of one key and to nobody else. */
export class PinnedAgent extends Agent {
  readonly #pin: Pin;

  constructor(pin: Pin, options: AgentOptions) {
    super(options);
    this.#pin = pin;
  }

  override createConnection(
    { host, port }: ClientRequestArgs,
    done?: (error: Error | null, connection: Duplex) => void,
  ): undefined {
    const socket = connect({
      host: host ?? '',
      port: Number(port),
      servername: '',
      minVersion: 'TLSv1.3',
      // Whose key it is decides, right below; a chain of certificates would say nothing.
      rejectUnauthorized: false,
      timeout: HANDSHAKE_MS,
    });
    const settle = (error: Error | null): void => {
      socket.removeAllListeners('error').removeAllListeners('timeout').setTimeout(0);
      if (error) socket.on('error', () => undefined).destroy();
      done?.(error, socket);
    };
    socket
      .once('secureConnect', () => settle(checkPin(socket, this.#pin)))
      .once('timeout', () => settle(new Error('the TLS handshake took too long')))
      .once('error', settle);
  }
}

/**
 * The pin of whoever answers there. Nothing vouches for it: a person compares it with what the service printed.
 * @throws ClientError service-unreachable
 */
export function shownPin(host: string, port: number): Promise<Pin> {
  const { promise, resolve, reject } = Promise.withResolvers<Pin>();
  const socket = connect({ host, port, servername: '', minVersion: 'TLSv1.3', rejectUnauthorized: false });
  const fail = (cause?: Error): void =>
    reject(new ClientError('service-unreachable', `no TLS from ${host}; is it running?`, { cause }));
  socket
    .once('secureConnect', () => {
      const pin = pinOf(socket);
      if (pin) resolve(pin);
      else fail();
    })
    .once('error', fail)
    .setTimeout(HANDSHAKE_MS, () => socket.destroy(new Error('the TLS handshake took too long')));
  return promise.finally(() => socket.destroy());
}

function pinOf(socket: TLSSocket): Pin | undefined {
  const spki = socket.getPeerX509Certificate()?.publicKey.export({ format: 'der', type: 'spki' });
  return spki && (`sha256:${createHash('sha256').update(spki).digest('base64url')}` as Pin);
}

function checkPin(socket: TLSSocket, pin: Pin): ClientError | null {
  const found = pinOf(socket);
  if (found === pin && !socket.isSessionReused()) return null;
  return new ClientError(
    'pin-mismatch',
    `whoever answers is not the service that was pinned: its key is ${found ?? 'not shown'}, not ${pin}`,
  );
}
