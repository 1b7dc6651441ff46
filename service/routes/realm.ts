// POST /v1/realm: the realm's birth, once in the life of a service; POST /v1/root: its next root; and GET /v1/health.
import type { FastifyInstance } from 'fastify';
import { encodePublished, parseGenesis, parseRootChange } from '../../manifest/realm/exchange.ts';
import type { FanOut } from '../fan-out.ts';
import type { Log } from '../log.ts';
import type { Repository } from '../repository.ts';

export function realmRoutes(app: FastifyInstance, repository: Repository, fanOut: FanOut, log: Log): void {
  app.post<{ Body: Buffer }>('/v1/realm', async ({ body }, reply) => {
    const genesis = parseGenesis(body);
    const published = await repository.create(genesis);
    log('realm-created', { lease: genesis.lease });
    return reply.code(201).send(encodePublished(published));
  });

  app.post<{ Body: Buffer }>('/v1/root', async ({ body }) => {
    const published = await repository.changeRoot(parseRootChange(body));
    log('root-changed', { root: published.roles.get('root') ?? 0, timestamp: published.timestamp });
    return encodePublished(published);
  });

  app.get('/v1/health', async () => ({ realm: await repository.exists(), streams: fanOut.size }));
}
