// The HTTP server: routes over a repository, with every limit and timeout written down. Bodies stay raw bytes, so
// that manifest's own parsers apply their limits; every error leaves as `{code, message}`.
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { EXCHANGE_LIMITS } from '../manifest/realm/exchange.ts';
import { ServiceError, answerTo } from './errors.ts';
import type { FanOut } from './fan-out.ts';
import type { Log } from './log.ts';
import type { Repository } from './repository.ts';
import { eventsRoute } from './routes/events.ts';
import { metadataRoutes } from './routes/metadata.ts';
import { publishRoute } from './routes/publish.ts';
import { realmRoutes } from './routes/realm.ts';

/** Milliseconds, bytes and counts. */
const HTTP_LIMITS = {
  /** To receive the head of a request, and all of it. */
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** Without a byte either way; event streams are exempt, since keep-alives and the backlog limit watch over them. */
  connectionTimeout: 60_000,
  keepAliveTimeout: 60_000,
  maxHeaderSize: 8 << 10,
  /** `SHA256.NAME@VERSION` has at most 64 + 1 + 128 + 1 + 15 characters. */
  maxParamLength: 256,
  connections: 20_000,
} as const;

export interface ServerParts {
  readonly repository: Repository;
  readonly fanOut: FanOut;
  readonly log: Log;
}

export function makeServer({ repository, fanOut, log }: ServerParts): FastifyInstance {
  const { headersTimeout, maxHeaderSize, maxParamLength, connections, ...timeouts } = HTTP_LIMITS;
  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const { status, body } = answerTo(error);
    const route = request.routeOptions.url ?? 'unknown';
    log('refused', { route, status, code: body.code, ...(status === 500 ? { error: String(error) } : {}) });
    void reply.code(status).send(body);
  };
  const app = fastify({
    ...timeouts,
    bodyLimit: EXCHANGE_LIMITS.body,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength },
    http: { headersTimeout, maxHeaderSize },
    frameworkErrors: refuse,
  });
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
  app.setErrorHandler(refuse);
  app.setNotFoundHandler(() => {
    throw new ServiceError('not-found', 'this service has no such resource');
  });
  metadataRoutes(app, repository);
  publishRoute(app, repository, log);
  realmRoutes(app, repository, fanOut, log);
  eventsRoute(app, repository, fanOut);
  return app;
}
