// GET /v1/echo/NONCE: the newest timestamp's version and hash, signed over the nonce that the host sent. It is what renews a
// lease, so it is asked often and costs one signature; it needs no token, for it says nothing that is not public.
import type { FastifyInstance } from 'fastify';
import { NONCE_BYTES } from '../../manifest/realm/echo.ts';
import { ServiceError } from '../errors.ts';
import type { Repository } from '../repository.ts';

const NONCE = new RegExp(`^[0-9a-f]{${2 * NONCE_BYTES}}$`);

export function echoRoute(app: FastifyInstance, repository: Repository): void {
  app.get<{ Params: { nonce: string } }>('/v1/echo/:nonce', async ({ params: { nonce } }, reply) => {
    if (!NONCE.test(nonce)) throw new ServiceError('request-malformed', 'a nonce is 64 hexadecimal digits');
    const echo = await repository.echo(nonce);
    return reply.type('application/json').header('cache-control', 'no-store').send(echo);
  });
}
