// The HTTP server: routes over a repository, with every limit and timeout written down. Bodies stay raw bytes, so
// that manifest's own parsers apply their limits; every error leaves as `{code, message}`, every answer with the
// service's own time, by which hosts reckon that have another.
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import { EXCHANGE_LIMITS } from '../manifest/realm/exchange.ts';
import type { Authentication } from './authentication.ts';
import type { Clock } from './clock.ts';
import type { DrillShelf } from './drills.ts';
import { ServiceError, answerTo } from './errors.ts';
import type { FanOut } from './fan-out.ts';
import type { JoinDesk } from './joins.ts';
import type { Log } from './log.ts';
import type { MemberList } from './members.ts';
import type { PendingDesk } from './pending.ts';
import type { ReceiptBook } from './receipts.ts';
import type { Repository } from './repository.ts';
import { drillRoutes } from './routes/drills.ts';
import { echoRoute } from './routes/echo.ts';
import { eventsRoute } from './routes/events.ts';
import { joinRoutes } from './routes/joins.ts';
import { metadataRoutes } from './routes/metadata.ts';
import { pendingRoutes } from './routes/pending.ts';
import { publishRoute } from './routes/publish.ts';
import { realmRoutes } from './routes/realm.ts';
import { receiptRoutes } from './routes/receipts.ts';
import type { TlsIdentity } from './tls-identity.ts';
import { tlsOptions } from './tls-options.ts';

/** Milliseconds, bytes and counts. */
const HTTP_LIMITS = {
  /** To receive the head of a request, and all of it. */
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** Without a byte either way; event streams are exempt, since keep-alives and the backlog limit watch over them. */
  connectionTimeout: 60_000,
  /** Longer than clients leave a connection idle: the next call of an operator or a host pays no handshake. */
  keepAliveTimeout: 16 * 60_000,
  maxHeaderSize: 8 << 10,
  /** `SHA256.NAME@VERSION` has at most 64 + 1 + 128 + 1 + 15 characters. */
  maxParamLength: 256,
  connections: 20_000,
} as const;

export interface ServerParts {
  readonly repository: Repository;
  readonly members: MemberList;
  readonly authentication: Authentication;
  readonly fanOut: FanOut;
  readonly book: ReceiptBook;
  readonly desk: JoinDesk;
  readonly pending: PendingDesk;
  readonly shelf: DrillShelf;
  readonly clock: Clock;
  readonly log: Log;
}

/** Plain HTTP without `tls`. */
export function makeServer(parts: ServerParts, tls: TlsIdentity | undefined): FastifyInstance {
  const { repository, authentication, fanOut, desk, pending, shelf, clock, log } = parts;
  const { headersTimeout, maxHeaderSize, maxParamLength, connections, ...timeouts } = HTTP_LIMITS;
  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const { status, body } = answerTo(error);
    const route = request.routeOptions.url ?? 'unknown';
    // Every client asks for the next root, which is not there.
    if (status !== 404)
      log('refused', { route, status, code: body.code, ...(status === 500 ? { error: String(error) } : {}) });
    void reply.code(status).send(body);
  };
  const options = {
    ...timeouts,
    bodyLimit: EXCHANGE_LIMITS.body,
    forceCloseConnections: 'idle' as const,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength },
    frameworkErrors: refuse,
  };
  const app = listener(options, { headersTimeout, maxHeaderSize }, tls);
  app.server.maxConnections = connections;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );
  // Without a body there is no content type to parse: the routes see an empty one.
  app.addHook('preValidation', (request, _reply, done) => {
    request.body ??= Buffer.alloc(0);
    done();
  });
  app.addHook('onRequest', (_request, reply, done) => {
    reply.raw.sendDate = false;
    reply.raw.setHeader('date', new Date(clock.now()).toUTCString());
    done();
  });
  app.setErrorHandler(refuse);
  app.setNotFoundHandler(() => {
    throw new ServiceError('not-found', 'this service has no such resource');
  });
  metadataRoutes(app, repository, authentication);
  echoRoute(app, repository);
  publishRoute(app, repository, log);
  pendingRoutes(app, pending, log);
  realmRoutes(app, repository, fanOut, log);
  eventsRoute(app, repository, authentication, fanOut);
  receiptRoutes(app, parts);
  joinRoutes(app, desk, log);
  drillRoutes(app, shelf, log);
  return app;
}

function listener(
  options: FastifyServerOptions,
  http: { readonly headersTimeout: number; readonly maxHeaderSize: number },
  tls: TlsIdentity | undefined,
): FastifyInstance {
  if (!tls) return fastify({ ...options, http });
  const https = tlsOptions(tls);
  // The routes do not depend on what kind of server listens; the types of fastify do.
  const app = fastify({ ...options, https: { ...https, ...http } } as FastifyServerOptions);
  https.key.fill(0);
  return app;
}
