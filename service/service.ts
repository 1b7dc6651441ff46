// A running service: from a state directory to a URL, and back in good order. main.ts, the demo and tests start it
// through here.
import { mkdirSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { Authentication } from './authentication.ts';
import type { Clock } from './clock.ts';
import { DrillShelf } from './drills.ts';
import { ServiceError } from './errors.ts';
import { FanOut } from './fan-out.ts';
import type { FanOutLimits, NewsSource } from './fan-out.ts';
import { JoinDesk } from './joins.ts';
import { checkPlain, urlOf } from './listen-address.ts';
import type { ListenAddress } from './listen-address.ts';
import type { Log } from './log.ts';
import { MemberList } from './members.ts';
import { OnlineKeyRing } from './online-keys.ts';
import { PendingDesk } from './pending.ts';
import { ReceiptBook } from './receipts.ts';
import { Repository } from './repository.ts';
import { makeServer } from './server.ts';
import { Inbox } from './store/inbox.ts';
import { openSqliteStore } from './store/sqlite.ts';
import { openTlsIdentity } from './tls-identity.ts';

export interface ServiceOptions {
  /** The state directory, made with mode 0700 if it is not there. */
  readonly data: string;
  readonly listen: ListenAddress;
  /** Plain HTTP instead of HTTPS, on a loopback address. */
  readonly http?: boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly fanOut?: FanOutLimits;
}

export interface RunningService extends AsyncDisposable {
  readonly url: string;
  /** Of HTTPS: by which clients know the service. */
  readonly pin: string | undefined;
}

/** How long requests in flight may take to finish when the service closes. */
const CLOSING_MS = 1000;

/** @throws ServiceError config-invalid, listen-failed, online-keys-mismatch, store-* */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { data, listen, http = false, clock, log } = options;
  if (http) checkPlain(listen);
  await using opened = new AsyncDisposableStack();
  preparePrivateDirectory(data);
  const store = openSqliteStore(join(data, 'store.sqlite'));
  opened.defer(() => store.close());
  const inbox = new Inbox(join(data, 'inbox.sqlite'));
  opened.defer(() => inbox.close());
  const tls = http ? undefined : await openTlsIdentity(data);
  const repository = await Repository.open(store, OnlineKeyRing.open(data), clock);
  const members = new MemberList(repository);
  const since = (await repository.exists()) ? clock.now() : 0;
  const authentication = opened.use(new Authentication(members, clock, since));
  const source: NewsSource = {
    news: (since) => repository.news(since),
    watch: (listener) => repository.watch(listener),
    members: () => members.read(),
  };
  const fanOut = new FanOut(source, clock, log, options.fanOut);
  const book = new ReceiptBook(inbox, clock);
  const desk = new JoinDesk(inbox, members, clock);
  const pending = new PendingDesk(inbox, repository, clock);
  const shelf = new DrillShelf(inbox, repository, clock);
  const parts = { repository, members, authentication, fanOut, book, desk, pending, shelf, clock, log };
  const server = makeServer(parts, tls);
  opened.defer(() => closeServer(server, clock));
  opened.use(book);
  opened.use(fanOut);
  const url = await listenOn(server, listen, http ? 'http' : 'https');
  const running = opened.move();
  return { url, pin: tls?.pin, [Symbol.asyncDispose]: () => running.disposeAsync() };
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

async function listenOn(
  server: FastifyInstance,
  { host, port }: ListenAddress,
  scheme: 'http' | 'https',
): Promise<string> {
  try {
    await server.listen({ host, port });
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new ServiceError('listen-failed', `cannot listen on ${urlOf({ host, port }, scheme)} (${why})`, {
      cause: error,
    });
  }
  const { port: bound } = server.server.address() as AddressInfo;
  return urlOf({ host, port: bound }, scheme);
}

async function closeServer(server: FastifyInstance, clock: Clock): Promise<void> {
  const closed = server.close();
  await Promise.race([closed, clock.sleep(CLOSING_MS)]);
  server.server.closeAllConnections();
  await closed;
}
