// POST /v1/joins: a host that was invited asks to join; GET /v1/joins: the requests that wait for an answer. Nobody logs in:
// whoever signs the fleet checks each against the invitation, which the service has never seen.
import type { FastifyInstance } from 'fastify';
import { parseJson } from '../../manifest/json.ts';
import { LIMITS } from '../../manifest/limits.ts';
import { readJoin } from '../../manifest/realm/invite.ts';
import type { JoinDesk } from '../joins.ts';
import type { Log } from '../log.ts';

export function joinRoutes(app: FastifyInstance, desk: JoinDesk, log: Log): void {
  app.post<{ Body: Buffer }>('/v1/joins', { bodyLimit: LIMITS.joinBytes }, async ({ body }, reply) => {
    await desk.post(readJoin(parseJson(body, LIMITS.joinBytes)));
    log('join-requested');
    return reply.code(201).send({});
  });

  app.get('/v1/joins', async (_request, reply) => {
    const waiting = await desk.waiting();
    return reply.type('application/json').header('cache-control', 'no-store').send(waiting);
  });
}
