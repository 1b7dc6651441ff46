// Changes that wait for signatures of others: POST /v1/pending proposes one, GET lists them and gives one, POST …/signatures
// adds to one and publishes it when it is complete. Nobody logs in: who signs counts, and nobody can take one away.
import type { FastifyInstance, FastifyReply } from 'fastify';
import { EXCHANGE_LIMITS, parsePublish } from '../../manifest/realm/exchange.ts';
import {
  encodePendingChange,
  encodeProposed,
  parseSignatures,
  waitingJson,
} from '../../manifest/realm/pending.ts';
import type { Proposed } from '../../manifest/realm/pending.ts';
import { ServiceError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { PendingDesk } from '../pending.ts';
import { logPublished } from './publish.ts';

export function pendingRoutes(app: FastifyInstance, desk: PendingDesk, log: Log): void {
  app.post<{ Body: Buffer }>('/v1/pending', async ({ body }, reply) => {
    const proposed = await desk.post(parsePublish(body));
    return answer(log, proposed, reply);
  });

  app.get('/v1/pending', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    return { pending: (await desk.list()).map(waitingJson) };
  });

  app.get<{ Params: { id: string } }>('/v1/pending/:id', async ({ params: { id } }, reply) => {
    reply.header('cache-control', 'no-store');
    return encodePendingChange(await desk.find(checkId(id)));
  });

  app.post<{ Params: { id: string }; Body: Buffer }>(
    '/v1/pending/:id/signatures',
    { bodyLimit: EXCHANGE_LIMITS.small },
    async ({ params: { id }, body }, reply) => {
      const proposed = await desk.sign(checkId(id), parseSignatures(body));
      return answer(log, proposed, reply);
    },
  );
}

function answer(log: Log, proposed: Proposed, reply: FastifyReply): FastifyReply {
  const isPublished = 'published' in proposed;
  if (isPublished) logPublished(log, proposed.published);
  else log('pending', { id: proposed.id });
  return reply.code(isPublished ? 200 : 202).send(encodeProposed(proposed));
}

function checkId(id: string): string {
  if (/^[0-9a-f]{64}$/.test(id)) return id;
  throw new ServiceError('not-found', 'there is no such change');
}
