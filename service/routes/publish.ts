// POST /v1/publish: the next versions of some roles, all in one commit. Nobody logs in: what counts is who signed.
import type { FastifyInstance } from 'fastify';
import { encodePublished, parsePublish } from '../../manifest/realm/exchange.ts';
import type { Published } from '../../manifest/realm/exchange.ts';
import type { Log } from '../log.ts';
import type { Repository } from '../repository.ts';

export function publishRoute(app: FastifyInstance, repository: Repository, log: Log): void {
  app.post<{ Body: Buffer }>('/v1/publish', async ({ body }) => {
    const published = await repository.publish(parsePublish(body));
    logPublished(log, published);
    return encodePublished(published);
  });
}

/** Whichever way it came. */
export function logPublished(log: Log, { roles, snapshot, timestamp }: Published): void {
  const versions = [...roles].map(([name, version]) => `${name}@${version}`).join();
  log('published', { roles: versions, snapshot, timestamp });
}
