// GET of what clients fetch: metadata and envelopes under their consistent names, and the public online keys.
import type { FastifyInstance } from 'fastify';
import type { OnlineKeys } from '../../manifest/realm/exchange.ts';
import { ServiceError } from '../errors.ts';
import { TIMESTAMP_KEY } from '../keys.ts';
import type { Repository } from '../repository.ts';

const NO_STORE = 'no-store';
const IMMUTABLE = 'public, max-age=31536000, immutable';

export function metadataRoutes(app: FastifyInstance, repository: Repository): void {
  app.get<{ Params: { file: string } }>('/v1/metadata/:file', async ({ params: { file } }, reply) => {
    reply.type('application/json');
    if (file === TIMESTAMP_KEY)
      return reply.header('cache-control', NO_STORE).send(await repository.timestamp());
    if (!/^[1-9]\d{0,14}\.[a-z][a-z0-9-]*\.json$/.test(file)) throw notFound();
    const bytes = await found(repository, file);
    return reply.header('cache-control', IMMUTABLE).send(bytes);
  });

  app.get<{ Params: { namespace: string; file: string } }>(
    '/v1/targets/:namespace/:file',
    async ({ params: { namespace, file } }, reply) => {
      if (`${namespace}${file}`.includes('/')) throw notFound();
      const bytes = await found(repository, `${namespace}/${file}`);
      // A cache on the way must not keep the ciphertext of a version that was taken back.
      return reply.type('application/octet-stream').header('cache-control', NO_STORE).send(bytes);
    },
  );

  app.get('/v1/online-keys', (): OnlineKeys => {
    const { snapshot, timestamp } = repository.onlineKeys;
    return { snapshot: snapshot.publicHex, timestamp: timestamp.publicHex };
  });
}

async function found(repository: Repository, key: string): Promise<Uint8Array> {
  const bytes = await repository.file(key);
  if (!bytes) throw notFound();
  return bytes;
}

function notFound(): ServiceError {
  return new ServiceError('not-found', 'there is no such file');
}
