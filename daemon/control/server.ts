// The control API: Fastify on a unix socket of mode 0600, in a directory that only its owner may enter. Whoever can
// connect is root on this host; still, every input has a limit and every refusal a stable code.
import { chmod, mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import Fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { isLapseError } from '../../manifest/errors.ts';
import { DaemonError } from '../errors.ts';
import { reachable } from './client.ts';
import { statusRoute } from './routes/status.ts';
import type { StatusParts } from './routes/status.ts';
import { workloadRoutes } from './routes/workloads.ts';

const LIMITS = {
  bodyLimit: 16_384,
  connectionTimeout: 5000,
  requestTimeout: 5000,
  keepAliveTimeout: 5000,
} as const;

/** @throws DaemonError control-unavailable */
export async function startControl(socket: string, parts: StatusParts): Promise<FastifyInstance> {
  if (await reachable(socket)) {
    throw new DaemonError('control-unavailable', `another lapsed answers on ${socket}; stop it first`);
  }
  const app = Fastify({ ...LIMITS, forceCloseConnections: true, exposeHeadRoutes: false });
  app.setErrorHandler(async (error, _request, reply) => {
    const code = isLapseError(error) ? error.code : clientCode(error);
    const status = code === 'workload-unknown' ? 404 : code === 'workload-conflict' ? 409 : 400;
    const message = code === 'internal' ? 'an internal error' : (error as Error).message;
    await reply.code(code === 'internal' ? 500 : status).send({ code, message });
  });
  statusRoute(app, parts);
  workloadRoutes(app, parts.serving);
  try {
    await mkdir(dirname(socket), { recursive: true, mode: 0o700 });
    await chmod(dirname(socket), 0o700);
    await rm(socket, { force: true });
    await app.listen({ path: socket });
    await chmod(socket, 0o600);
  } catch (cause) {
    await app.close();
    throw new DaemonError('control-unavailable', `cannot listen on ${socket}`, { cause });
  }
  return app;
}

/** Fastify's own refusals (no JSON, too large, not as the schema wants) are the caller's. */
function clientCode(error: unknown): string {
  const { statusCode } = error as { statusCode?: number };
  return statusCode !== undefined && statusCode < 500 ? 'request-malformed' : 'internal';
}
