// POST /v1/drills: a drill's report, signed by one who may order drills; GET /v1/drills: those that are kept, for whoever can
// connect. A reader verifies each by itself, so nobody need be believed.
import type { FastifyInstance } from 'fastify';
import { KEPT_LIMITS, encodeKeptReports, parseReportPost } from '../../manifest/realm/drill/kept-report.ts';
import type { DrillShelf } from '../drills.ts';
import { ServiceError } from '../errors.ts';
import type { Log } from '../log.ts';

interface Query {
  readonly after?: unknown;
  readonly limit?: unknown;
}

export function drillRoutes(app: FastifyInstance, shelf: DrillShelf, log: Log): void {
  app.post<{ Body: Buffer }>('/v1/drills', { bodyLimit: KEPT_LIMITS.postBytes }, async ({ body }, reply) => {
    await shelf.put(parseReportPost(body));
    log('drill-kept');
    return reply.code(201).send({});
  });

  app.get<{ Querystring: Query }>('/v1/drills', async ({ query: { after, limit } }, reply) => {
    reply.header('cache-control', 'no-store');
    const most = KEPT_LIMITS.perAnswer;
    return encodeKeptReports(
      await shelf.page(
        numberIn(after, { none: 0, least: 0, most: Number.MAX_SAFE_INTEGER }),
        numberIn(limit, { none: most, least: 1, most }),
      ),
    );
  });
}

/** @throws ServiceError request-malformed */
function numberIn(
  text: unknown,
  { none, least, most }: { readonly none: number; readonly least: number; readonly most: number },
): number {
  if (text === undefined) return none;
  const number = typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(number) && number >= least && number <= most) return number;
  throw new ServiceError(
    'request-malformed',
    `reports are numbered from 1, and an answer has 1 to ${KEPT_LIMITS.perAnswer}`,
  );
}
