// HTTP to the manifest service. It moves bytes, bounded in size and time, and believes none of them: verification
// is the updater's. Every failure is a ClientError that says whether the service was reached, and carries its code.
import type { IncomingMessage } from 'node:http';
import { isLapseError } from '../manifest/errors.ts';
import { parseJson } from '../manifest/json.ts';
import type { JsonObject } from '../manifest/json.ts';
import { LIMITS } from '../manifest/limits.ts';
import {
  EXCHANGE_LIMITS,
  JOINS,
  encodeGenesis,
  encodePublish,
  encodeRootChange,
  parseJoins,
  parseNews,
  parseOnlineKeys,
  parsePublished,
  parseStoredReceipts,
  readStoredReceipt,
} from '../manifest/realm/exchange.ts';
import type {
  Genesis,
  News,
  OnlineKeys,
  Publish,
  Published,
  RootChange,
  StoredReceipt,
  StoredReceipts,
} from '../manifest/realm/exchange.ts';
import { KEPT_LIMITS, encodeReportPost, parseKeptReports } from '../manifest/realm/drill/kept-report.ts';
import type { KeptReports } from '../manifest/realm/drill/kept-report.ts';
import { encodeJoin } from '../manifest/realm/invite.ts';
import type { JoinRequest } from '../manifest/realm/invite.ts';
import {
  PENDING_LIMITS,
  encodeSignatures,
  parsePending,
  parsePendingChange,
  parseProposed,
} from '../manifest/realm/pending.ts';
import type { MoreSignatures, PendingChange, Proposed, Waiting } from '../manifest/realm/pending.ts';
import { object, string } from '../manifest/shape.ts';
import type { Clock } from './clock.ts';
import { ClientError } from './errors.ts';
import { eventStream } from './event-stream.ts';
import { readBody, send, serviceAddress } from './http.ts';
import type { HttpRequest, ServiceAddress } from './http.ts';

/** How long one request may take, in milliseconds, from sending to the last byte. */
const REQUEST_MS = 10_000;

export interface Transport {
  readonly url: string;
  /** A metadata file under its consistent name, e.g. `3.targets.json`. @throws ClientError not-found */
  metadata(file: string, maxBytes: number): Promise<Uint8Array>;
  /** A target under its consistent name, e.g. `payments/SHA256.db-password@3`. Hosts only. */
  target(file: string, maxBytes: number): Promise<Uint8Array>;
  /** The newest timestamp's version and hash, signed over the nonce (hexadecimal). */
  echo(nonce: string): Promise<Uint8Array>;
  onlineKeys(): Promise<OnlineKeys>;
  createRealm(genesis: Genesis): Promise<Published>;
  publish(publish: Publish): Promise<Published>;
  /** A change that others must sign, too. @throws ClientError service-conflict: not the next version any more */
  propose(publish: Publish): Promise<Proposed>;
  /** What waits for signatures, as the service says. */
  pending(): Promise<readonly Waiting[]>;
  /** @throws ClientError not-found */
  pendingChange(id: string): Promise<PendingChange>;
  /** @throws ClientError not-found; service-conflict: it can no longer be made */
  addSignatures(id: string, more: MoreSignatures): Promise<Proposed>;
  changeRoot(change: RootChange): Promise<Published>;
  /** News as it is pushed, until the stream or the signal ends. `lastId` resumes. Hosts only. */
  news(lastId: string | undefined, signal: AbortSignal): AsyncIterable<{ id: string; news: News }>;
  /** Hosts only. */
  postReceipts(receipts: readonly string[]): Promise<void>;
  receipts(after: number): Promise<StoredReceipts>;
  /** What came after number `after`, then each receipt as it comes. `onOpen` is told when the stream stands. */
  receiptEvents(after: number, signal: AbortSignal, onOpen?: () => void): AsyncIterable<StoredReceipt>;
  /** @throws ClientError service-conflict: a request with that invitation waits already */
  postJoin(request: JoinRequest): Promise<void>;
  joins(): Promise<readonly JoinRequest[]>;
  /** Of a drill, signed. @throws ClientError service-conflict: one of that drill is kept already */
  postDrill(jws: string): Promise<void>;
  /** What came after number `after`. */
  drills(after: number): Promise<KeptReports>;
}

/** Who speaks for a host: a fresh token for each request. */
export interface Authorizer {
  token(): Promise<string>;
  /** Told why a token was refused, and the service's wall time; true if another token is worth an attempt. */
  refused(code: string, serviceNow: number | undefined): boolean;
}

/** Resolves with an answer that says yes; without a signal, a deadline of its own. */
type Call = (
  request: Omit<HttpRequest, 'to' | 'pin' | 'signal'>,
  signal?: AbortSignal,
) => Promise<IncomingMessage>;

export function httpTransport(service: ServiceAddress, clock: Clock, authorizer?: Authorizer): Transport {
  const { url, pin } = serviceAddress(service);
  const call: Call = async (request, signal) =>
    checked(await send({ to: url, pin, ...request, signal: signal ?? clock.deadline(REQUEST_MS) }), url);
  /** The same with a token; once more when the service's clock was the reason of a refusal. */
  const asHost: Call = async (request, signal) => {
    const attempt = async () => {
      const authorization = authorizer && { authorization: `Bearer ${await authorizer.token()}` };
      return call({ ...request, headers: { ...request.headers, ...authorization } }, signal);
    };
    try {
      return await attempt();
    } catch (error) {
      const isWorthIt =
        error instanceof ClientError &&
        error.code === 'token-refused' &&
        authorizer?.refused(error.reason ?? '', error.serviceNow);
      if (isWorthIt) return attempt();
      throw error;
    }
  };
  const get = async (path: string, maxBytes: number) =>
    readBody(await call({ method: 'GET', path }), url, maxBytes);
  const post = async (path: string, body: JsonObject, maxBytes: number = EXCHANGE_LIMITS.small) =>
    readBody(await call({ method: 'POST', path, body }), url, maxBytes);
  const events = (
    path: string,
    as: Call,
    lastId: string | undefined,
    signal: AbortSignal,
    maxBytes: number,
  ) =>
    eventStream((ending) => as({ method: 'GET', path, headers: streamHeaders(lastId) }, ending), {
      clock,
      signal,
      maxBytes,
    });
  return {
    url,
    metadata: (file, maxBytes) => get(`/v1/metadata/${encodeURIComponent(file)}`, maxBytes),
    async target(file, maxBytes) {
      const path = `/v1/targets/${file.split('/').map(encodeURIComponent).join('/')}`;
      return readBody(await asHost({ method: 'GET', path }), url, maxBytes);
    },
    echo: (nonce) => get(`/v1/echo/${nonce}`, LIMITS.echoBytes),
    onlineKeys: async () => parseOnlineKeys(await get('/v1/online-keys', EXCHANGE_LIMITS.small)),
    createRealm: async (genesis) => parsePublished(await post('/v1/realm', encodeGenesis(genesis))),
    publish: async (publish) => parsePublished(await post('/v1/publish', encodePublish(publish))),
    propose: async (publish) =>
      parseProposed(await post('/v1/pending', encodePublish(publish), PENDING_LIMITS.answer)),
    pending: async () => parsePending(await get('/v1/pending', PENDING_LIMITS.list)),
    pendingChange: async (id) =>
      parsePendingChange(await get(`/v1/pending/${encodeURIComponent(id)}`, EXCHANGE_LIMITS.body)),
    async addSignatures(id, more) {
      const path = `/v1/pending/${encodeURIComponent(id)}/signatures`;
      return parseProposed(await post(path, encodeSignatures(more), PENDING_LIMITS.answer));
    },
    changeRoot: async (change) => parsePublished(await post('/v1/root', encodeRootChange(change))),
    async *news(lastId, signal) {
      for await (const { event, id, data } of events(
        '/v1/events',
        asHost,
        lastId,
        signal,
        EXCHANGE_LIMITS.event,
      )) {
        if (event === 'news') yield { id, news: parseNews(Buffer.from(data)) };
      }
    },
    async postReceipts(receipts) {
      const answer = await asHost({ method: 'POST', path: '/v1/receipts', body: { receipts } });
      await readBody(answer, url, EXCHANGE_LIMITS.small);
    },
    receipts: async (after) =>
      parseStoredReceipts(
        await get(`/v1/receipts?after=${after}`, EXCHANGE_LIMITS.receiptsPerAnswer * LIMITS.receiptBytes),
      ),
    async *receiptEvents(after, signal, onOpen) {
      const path = `/v1/receipts/events?after=${after}`;
      const opening: Call = async (request, ending) => {
        const answer = await call(request, ending);
        onOpen?.();
        return answer;
      };
      for await (const { event, data } of events(path, opening, undefined, signal, 2 * LIMITS.receiptBytes)) {
        if (event === 'receipt')
          yield readStoredReceipt(parseJson(Buffer.from(data), 2 * LIMITS.receiptBytes));
      }
    },
    async postJoin(request) {
      await post('/v1/joins', encodeJoin(request));
    },
    joins: async () => parseJoins(await get('/v1/joins', JOINS * LIMITS.joinBytes)),
    async postDrill(jws) {
      await post('/v1/drills', encodeReportPost(jws));
    },
    drills: async (after) =>
      parseKeptReports(await get(`/v1/drills?after=${after}`, KEPT_LIMITS.answerBytes)),
  };
}

function streamHeaders(lastId: string | undefined): Readonly<Record<string, string>> {
  return { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) };
}

/** An answer that says yes. @throws ClientError the service's own refusal */
async function checked(answer: IncomingMessage, url: string): Promise<IncomingMessage> {
  const status = answer.statusCode ?? 0;
  if (status >= 200 && status < 300) return answer;
  throw await refusal(answer, status, url);
}

/** The service's own typed answer, kept as far as it is well formed. */
async function refusal(answer: IncomingMessage, status: number, url: string): Promise<ClientError> {
  let text = `HTTP status ${status}`;
  let reason: string | undefined;
  try {
    const body = await readBody(answer, url, EXCHANGE_LIMITS.small);
    const error = object(parseJson(body, EXCHANGE_LIMITS.small), 'error');
    reason = string(error['code'], 'code');
    text = `${string(error['message'], 'message')} (${reason})`;
  } catch (error) {
    if (!isLapseError(error)) throw error;
  }
  const serviceNow = Date.parse(answer.headers.date ?? '');
  const known = {
    ...(reason === undefined ? {} : { reason }),
    ...(Number.isNaN(serviceNow) ? {} : { serviceNow }),
  };
  if (status === 404) return new ClientError('not-found', `the service has no such file: ${text}`, known);
  if (status === 401)
    return new ClientError('token-refused', `the service refused this host: ${text}`, known);
  if (status >= 500) return new ClientError('service-failed', `the service failed: ${text}`, known);
  if (status === 409) return new ClientError('service-conflict', text, known);
  return new ClientError('service-refused', `the service refused: ${text}`, known);
}
