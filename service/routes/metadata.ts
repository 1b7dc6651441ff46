// GET of what clients fetch under consistent names: metadata and the public online keys, for everybody; envelopes, for
// hosts; a keyring, for the host that it belongs to.
import type { FastifyInstance } from 'fastify';
import type { OnlineKeys } from '../../manifest/realm/exchange.ts';
import { keyringFile } from '../../manifest/realm/hosts.ts';
import type { Authentication } from '../authentication.ts';
import { ServiceError } from '../errors.ts';
import { TIMESTAMP_KEY, isEnvelopeKey } from '../keys.ts';
import type { Repository } from '../repository.ts';

const NO_STORE = 'no-store';
const IMMUTABLE = 'public, max-age=31536000, immutable';

export function metadataRoutes(
  app: FastifyInstance,
  repository: Repository,
  authentication: Authentication,
): void {
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
    async ({ headers, params: { namespace, file } }, reply) => {
      const host = await authentication.host(headers.authorization);
      const key = `${namespace}/${file}`;
      const isOpen = isEnvelopeKey(key) || key === keyringFile(host);
      if (key.split('/').length !== 2 || !isOpen) throw notFound();
      const bytes = await found(repository, key);
      // A cache on the way must not keep the ciphertext of a version that was taken back.
      return reply.type('application/octet-stream').header('cache-control', NO_STORE).send(bytes);
    },
  );

  app.get('/v1/online-keys', (): OnlineKeys => repository.onlineKeys());
}

async function found(repository: Repository, key: string): Promise<Uint8Array> {
  const bytes = await repository.file(key);
  if (!bytes) throw notFound();
  return bytes;
}

function notFound(): ServiceError {
  return new ServiceError('not-found', 'there is no such file');
}
