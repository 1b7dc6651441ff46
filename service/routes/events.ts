// GET /v1/events: server-sent events. The id of an event is the store's revision; a client that comes back with it
// in Last-Event-ID gets what it missed, merged into one event. For hosts of the realm, as long as they are.
import type { FastifyInstance } from 'fastify';
import type { Authentication } from '../authentication.ts';
import type { FanOut } from '../fan-out.ts';
import type { Repository } from '../repository.ts';

export function eventsRoute(
  app: FastifyInstance,
  repository: Repository,
  authentication: Authentication,
  fanOut: FanOut,
): void {
  app.get('/v1/events', async (request, reply) => {
    fanOut.checkRoom();
    const { kid } = await authentication.host(request.headers.authorization);
    // While this can still be answered with an error: without a realm there is no news.
    await repository.timestamp();
    reply.hijack();
    request.raw.socket.setTimeout(0).setNoDelay(true);
    reply.raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      connection: 'close',
    });
    fanOut.subscribe(reply.raw, kid, revisionIn(request.headers['last-event-id']));
  });
}

function revisionIn(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
