// A running service: from a state directory to a URL, and back in good order. main.ts, the demo and tests start it
// through here.
import { mkdirSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Clock } from './clock.ts';
import { ServiceError } from './errors.ts';
import { FanOut } from './fan-out.ts';
import type { FanOutLimits } from './fan-out.ts';
import { urlOf } from './listen-address.ts';
import type { ListenAddress } from './listen-address.ts';
import type { Log } from './log.ts';
import { openOnlineKeys } from './online-keys.ts';
import { Repository } from './repository.ts';
import { makeServer } from './server.ts';
import { openSqliteStore } from './store/sqlite.ts';

export interface ServiceOptions {
  /** The state directory, made with mode 0700 if it is not there. */
  readonly data: string;
  readonly listen: ListenAddress;
  readonly clock: Clock;
  readonly log: Log;
  readonly fanOut?: FanOutLimits;
}

export interface RunningService extends AsyncDisposable {
  readonly url: string;
}

/** How long requests in flight may take to finish when the service closes. */
const CLOSING_MS = 1000;

/** @throws ServiceError config-invalid, listen-failed, online-keys-mismatch, store-* */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { data, listen, clock, log } = options;
  await using opened = new AsyncDisposableStack();
  preparePrivateDirectory(data);
  const store = openSqliteStore(join(data, 'store.sqlite'));
  opened.defer(() => store.close());
  const repository = await Repository.open(store, openOnlineKeys(data), clock);
  const fanOut = new FanOut(repository, clock, log, options.fanOut);
  const server = makeServer({ repository, fanOut, log });
  opened.defer(() => closeServer(server, clock));
  opened.use(fanOut);
  const url = await listenOn(server, listen);
  const running = opened.move();
  return { url, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

function preparePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if ((statSync(path).mode & 0o077) === 0) return;
  } catch (error) {
    throw new ServiceError('config-invalid', `${path} cannot be used as state directory`, { cause: error });
  }
  throw new ServiceError('config-invalid', `${path} is open to others; the state directory has mode 0700`);
}

async function listenOn(server: FastifyInstance, { host, port }: ListenAddress): Promise<string> {
  try {
    await server.listen({ host, port });
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new ServiceError('listen-failed', `cannot listen on ${urlOf({ host, port })} (${why})`, {
      cause: error,
    });
  }
  const { port: bound } = server.server.address() as AddressInfo;
  return urlOf({ host, port: bound });
}

async function closeServer(server: FastifyInstance, clock: Clock): Promise<void> {
  const closed = server.close();
  await Promise.race([closed, clock.sleep(CLOSING_MS)]);
  server.server.closeAllConnections();
  await closed;
}
