// POST /v1/publish: the next version of `targets` or of a namespace. Nobody logs in: what counts is who signed.
import type { FastifyInstance } from 'fastify';
import { parsePublish } from '../../manifest/realm/exchange.ts';
import type { Published } from '../../manifest/realm/exchange.ts';
import type { Log } from '../log.ts';
import type { Repository } from '../repository.ts';

export function publishRoute(app: FastifyInstance, repository: Repository, log: Log): void {
  app.post<{ Body: Buffer }>('/v1/publish', async ({ body }): Promise<Published> => {
    const publish = parsePublish(body);
    const published = await repository.publish(publish);
    log('published', { role: publish.role, ...published });
    return published;
  });
}
