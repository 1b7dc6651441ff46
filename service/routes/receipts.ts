// POST /v1/receipts: what a host did or saw, verified with the key that its token was signed with. GET /v1/receipts and
// /v1/receipts/events: what came, for whoever can connect; a reader verifies each by itself, so nobody need be believed.
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { LIMITS } from '../../manifest/limits.ts';
import { isStatement, verifyStatement } from '../../manifest/realm/drill/statement.ts';
import {
  EXCHANGE_LIMITS,
  encodeStoredReceipts,
  parseReceiptsPost,
  storedReceiptJson,
} from '../../manifest/realm/exchange.ts';
import type { StoredReceipt } from '../../manifest/realm/exchange.ts';
import type { HostRecord } from '../../manifest/realm/hosts.ts';
import type { RealmId } from '../../manifest/names.ts';
import { verifyReceipt } from '../../manifest/realm/receipt.ts';
import type { Authentication } from '../authentication.ts';
import type { Clock } from '../clock.ts';
import { ServiceError } from '../errors.ts';
import type { MemberList } from '../members.ts';
import type { ReceiptBook } from '../receipts.ts';
import type { PostedWord } from '../store/inbox.ts';

const POST_BYTES = EXCHANGE_LIMITS.receiptsPerPost * LIMITS.receiptBytes;
/** Milliseconds: between comments on a quiet stream, and until a reader that takes nothing is cut. */
const KEEP_ALIVE_MS = 15_000;
const STALLED_MS = 60_000;
const KEEP_ALIVE = ': keep-alive\n\n';

export interface ReceiptParts {
  readonly authentication: Authentication;
  readonly members: MemberList;
  readonly book: ReceiptBook;
  readonly clock: Clock;
}

interface Query {
  readonly after?: unknown;
}

export function receiptRoutes(
  app: FastifyInstance,
  { authentication, members, book, clock }: ReceiptParts,
): void {
  app.post<{ Body: Buffer }>('/v1/receipts', { bodyLimit: POST_BYTES }, async (request, reply) => {
    const host = await authentication.host(request.headers.authorization);
    const receipts = parseReceiptsPost(request.body);
    const { realm } = await members.read();
    await book.put(await Promise.all(receipts.map((jws) => verified(jws, host, realm))));
    return reply.code(202).send({ stored: receipts.length });
  });

  app.get<{ Querystring: Query }>('/v1/receipts', async ({ query }, reply) => {
    reply.header('cache-control', 'no-store');
    return encodeStoredReceipts(await book.page(numberIn(query.after)));
  });

  app.get<{ Querystring: Query }>('/v1/receipts/events', (request, reply) => {
    book.checkRoom();
    const after = numberIn(request.headers['last-event-id'] ?? request.query.after);
    const { raw } = reply.hijack();
    request.raw.socket.setTimeout(STALLED_MS).setNoDelay(true);
    raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      connection: 'close',
    });
    void send(raw, book, after, clock);
  });
}

/** @throws ManifestError receipt-refused, drill-refused */
async function verified(jws: string, host: HostRecord, realm: RealmId): Promise<Omit<PostedWord, 'at'>> {
  const kind = isStatement(jws) ? 'statement' : 'receipt';
  await (kind === 'statement' ? verifyStatement : verifyReceipt)(jws, host, realm);
  return { host: host.name, kind, jws };
}

/** Writes as fast as the reader takes it, until it leaves or the book is closed. */
async function send(raw: ServerResponse, book: ReceiptBook, after: number, clock: Clock): Promise<void> {
  const left = new AbortController();
  raw.once('close', () => left.abort()).on('error', () => left.abort());
  using _alive = clock.every(KEEP_ALIVE_MS, () => {
    if (!raw.writableNeedDrain) raw.write(KEEP_ALIVE);
  });
  raw.flushHeaders();
  try {
    for await (const receipts of book.follow(after, left.signal)) {
      if (!raw.write(receipts.map(eventOf).join(''))) await once(raw, 'drain', { signal: left.signal });
    }
    raw.end();
  } catch {
    // The reader went away, or the store cannot be read: it comes back with the last id that it saw.
    raw.destroy();
  }
}

function eventOf(receipt: StoredReceipt): string {
  return `id: ${receipt.id}\nevent: receipt\ndata: ${JSON.stringify(storedReceiptJson(receipt))}\n\n`;
}

/** @throws ServiceError request-malformed */
function numberIn(text: unknown): number {
  if (text === undefined) return 0;
  const number = typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(number)) return number;
  throw new ServiceError('request-malformed', 'receipts are numbered from 1');
}
