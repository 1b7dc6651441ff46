// HTTP against a real server on loopback that answers whatever a test wants: bounded in size and time, and every
// failure typed.
import { createServer } from 'node:http';
import type { RequestListener, ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ClientError } from '../../../client/errors.ts';
import { serviceAddress } from '../../../client/http.ts';
import { httpTransport } from '../../../client/transport.ts';
import type { Transport } from '../../../client/transport.ts';
import { EXCHANGE_LIMITS, encodeNews } from '../../../manifest/realm/exchange.ts';
import { ManualClock } from './manual-clock.ts';

let answer: RequestListener;
const server = createServer((request, response) => answer(request, response));
let clock: ManualClock;
let transport: Transport;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
beforeEach(() => {
  clock = new ManualClock();
  transport = httpTransport({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }, clock);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const body = (text: string | Uint8Array, status = 200): void => {
  answer = (_request, response) => response.writeHead(status).end(text);
};

async function failure(work: Promise<unknown>): Promise<ClientError> {
  const error = await work.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ClientError);
  return error as ClientError;
}

describe('the service’s address', () => {
  test.for([
    ['http://127.0.0.1:7700', 'http://127.0.0.1:7700'],
    ['http://127.8.8.8:1/', 'http://127.8.8.8:1'],
    ['http://localhost:7700/v1', 'http://localhost:7700'],
    ['http://[::1]:7700', 'http://[::1]:7700'],
  ])('%s', ([text, url]) => {
    expect(serviceAddress({ url: text! })).toEqual({ url });
  });

  test.for([
    'http://10.0.0.1:7700',
    'http://0.0.0.0:7700',
    'http://[::]:7700',
    'http://example.org',
    'http://localhost.example.org',
    'http://127.0.0.1.example.org',
    'http://127.0.0.1@example.org',
    'file:///etc/passwd',
    '127.0.0.1:7700',
    '',
  ])('"%s" is refused', (text) => {
    expect(() => serviceAddress({ url: text })).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
  });
});

describe('a file', () => {
  test('comes as it is, from the path that its name says', async () => {
    const asked: unknown[] = [];
    answer = ({ url }, response) => {
      asked.push(url);
      response.end(Buffer.from([0, 255]));
    };
    expect(await transport.metadata('1.root.json', 2)).toEqual(Buffer.from([0, 255]));
    await transport.target('payments/abc.db@1', 2);
    await transport.metadata('../x', 2);
    expect(asked).toEqual([
      '/v1/metadata/1.root.json',
      '/v1/targets/payments/abc.db%401',
      '/v1/metadata/..%2Fx',
    ]);
  });

  test('one byte too many is refused', async () => {
    body('12345');
    expect(await failure(transport.metadata('f', 4))).toMatchObject({ code: 'answer-too-large' });
    expect(await transport.metadata('f', 5)).toHaveLength(5);
  });

  test('an endless one is refused as soon as it is too large', async () => {
    const ended = Promise.withResolvers<undefined>();
    answer = (_request, response) => {
      const pour = (): void => {
        if (response.write(Buffer.alloc(65_536))) setImmediate(pour);
      };
      response.on('drain', pour).on('close', () => ended.resolve(undefined));
      pour();
    };
    expect(await failure(transport.metadata('f', 100_000))).toMatchObject({ code: 'answer-too-large' });
    await ended.promise;
  });

  test('one that never ends is given up after ten seconds', async () => {
    const begun = Promise.withResolvers<undefined>();
    answer = (_request, response) => {
      response.write('1');
      begun.resolve(undefined);
    };
    const reading = failure(transport.metadata('f', 100));
    await begun.promise;
    clock.advance(9999);
    expect(await Promise.race([reading, new Promise((resolve) => setImmediate(resolve, 'pending'))])).toBe(
      'pending',
    );
    clock.advance(1);
    expect(await reading).toMatchObject({ code: 'service-unreachable' });
  });

  test('an answer that never begins is given up too', async () => {
    const begun = Promise.withResolvers<undefined>();
    answer = () => begun.resolve(undefined);
    const reading = failure(transport.metadata('f', 100));
    await begun.promise;
    clock.advance(10_000);
    expect(await reading).toMatchObject({ code: 'service-unreachable' });
  });

  test('one that breaks off', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('1', () => response.destroy());
    };
    expect(await failure(transport.metadata('f', 100))).toMatchObject({ code: 'service-unreachable' });
  });

  test('a redirect is not followed', async () => {
    const asked: unknown[] = [];
    answer = ({ url }, response) => {
      asked.push(url);
      response.writeHead(302, { location: '/elsewhere' }).end();
    };
    expect(await failure(transport.metadata('f', 100))).toMatchObject({ code: 'service-refused' });
    expect(asked).toEqual(['/v1/metadata/f']);
  });

  test('nobody listens', async () => {
    const nobody = httpTransport({ url: 'http://127.0.0.1:1' }, clock);
    expect(await failure(nobody.metadata('f', 1))).toMatchObject({
      code: 'service-unreachable',
      message: 'no answer from http://127.0.0.1:1; is it running?',
    });
  });
});

describe('a refusal', () => {
  const typed = JSON.stringify({ code: 'floor-sank', message: 'it sank' });

  test.for<[number, string, string]>([
    [401, 'token-refused', 'the service refused this host: it sank (floor-sank)'],
    [404, 'not-found', 'the service has no such file: it sank (floor-sank)'],
    [409, 'service-conflict', 'it sank (floor-sank)'],
    [400, 'service-refused', 'the service refused: it sank (floor-sank)'],
    [500, 'service-failed', 'the service failed: it sank (floor-sank)'],
  ])('%i is %s', async ([status, code, message]) => {
    body(typed, status);
    expect(await failure(transport.metadata('f', 1))).toMatchObject({
      code,
      message,
      reason: 'floor-sank',
    });
  });

  test.for<[string, string | Uint8Array]>([
    ['garbage', Buffer.from([0xff, 0xfe])],
    ['empty', ''],
    ['without a message', '{"code":"x"}'],
    ['huge', Buffer.alloc(1 << 20, '1')],
  ])('%s: the status is told', async ([, text]) => {
    body(text, 418);
    expect(await failure(transport.metadata('f', 1))).toMatchObject({
      code: 'service-refused',
      message: 'the service refused: HTTP status 418',
    });
  });
});

describe('a host shows who it is', () => {
  const SERVICE_NOW = Date.UTC(2026, 0, 31, 13);
  const tokens: string[] = [];
  const refusals: unknown[] = [];
  let isWorthIt: boolean;
  const asHost = (): Transport =>
    httpTransport({ url: transport.url }, clock, {
      token: () => Promise.resolve(`token-${tokens.length + 1}`),
      refused: (...why) => {
        refusals.push(why);
        return isWorthIt;
      },
    });

  beforeEach(() => {
    tokens.length = 0;
    refusals.length = 0;
    answer = ({ headers }, response) => {
      tokens.push(headers.authorization ?? 'none');
      const date = new Date(SERVICE_NOW).toUTCString();
      if (tokens.length > 1) response.end('bytes');
      else response.writeHead(401, { date }).end('{"code":"token-expired","message":"it has expired"}');
    };
  });

  test('and again with another token, when the clock was the reason', async () => {
    isWorthIt = true;
    expect(String(await asHost().target('payments/a.db@1', 9))).toBe('bytes');
    expect(tokens).toEqual(['Bearer token-1', 'Bearer token-2']);
    expect(refusals).toEqual([['token-expired', SERVICE_NOW]]);
  });

  test('but not when it was another', async () => {
    isWorthIt = false;
    expect(await failure(asHost().postReceipts(['r']))).toMatchObject({
      code: 'token-refused',
      reason: 'token-expired',
    });
    expect(tokens).toHaveLength(1);
  });

  test('only where it must', async () => {
    await failure(asHost().metadata('f', 9));
    expect(tokens).toEqual(['none']);
  });
});

describe('answers that are read', () => {
  const publish = {
    roles: [{ name: 'payments', metadata: Buffer.from('{}') }],
    files: [Buffer.from('e')],
  };

  test.for([
    '',
    '{}',
    'nonsense',
    '{"roles":{"a":1},"snapshot":0,"timestamp":1}',
    '{"roles":{"a":"1"},"snapshot":1,"timestamp":1}',
  ])('"%s" is no answer to a publish', async (text) => {
    body(text);
    await expect(transport.publish(publish)).rejects.toThrow(/json|published|not/i);
  });

  test('a publish is sent as JSON, with its files in base64', async () => {
    const received = Promise.withResolvers<string>();
    answer = (request, response) => {
      void text(request).then(received.resolve);
      response.end('{"roles":{"payments":3},"snapshot":8,"timestamp":9,"at":7,"boot":"b"}');
    };
    expect(await transport.publish(publish)).toEqual({
      roles: new Map([['payments', 3]]),
      snapshot: 8,
      timestamp: 9,
      at: 7,
      boot: 'b',
    });
    expect(JSON.parse(await received.promise)).toEqual({
      roles: [{ name: 'payments', metadata: 'e30=' }],
      files: ['ZQ=='],
    });
  });

  test('online keys are 32 bytes each', async () => {
    body(JSON.stringify({ snapshot: 'a'.repeat(64), timestamp: 'b'.repeat(63) }));
    await expect(transport.onlineKeys()).rejects.toMatchObject({ code: 'metadata-malformed' });
  });
});

describe('the event stream', () => {
  const news = { timestamp: Buffer.from('t'), files: new Map([['1.ü.json', Buffer.from('f')]]) };
  const event = (id: number, value = JSON.stringify(encodeNews(news))): string =>
    `id: ${id}\nevent: news\ndata: ${value}\n\n`;

  /** Opens the stream, with whatever `say` writes. */
  function listen(
    say: (response: ServerResponse) => void,
    signal = new AbortController().signal,
  ): AsyncIterator<{ id: string }> {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      say(response);
    };
    return transport.news(undefined, signal)[Symbol.asyncIterator]();
  }

  test('events that are cut anywhere, comments and other events between them', async () => {
    const bytes = Buffer.from(`: hello\n\n${event(1)}event: other\ndata: {}\n\n:\n\n${event(2)}${event(3)}`);
    for (const size of [1, 2, 7, bytes.length]) {
      const stream = listen((response) => {
        const write = (at: number): void => {
          if (at >= bytes.length) response.end();
          else response.write(bytes.subarray(at, at + size), () => setImmediate(write, at + size));
        };
        write(0);
      });
      for (const id of ['1', '2', '3']) expect((await stream.next()).value).toEqual({ id, news });
      expect((await stream.next()).done).toBe(true);
    }
  });

  test('it resumes behind the event that it names', async () => {
    const headers: unknown[] = [];
    answer = (request, response) => {
      headers.push(request.headers['last-event-id'], request.headers.accept);
      response.end();
    };
    for (const id of [undefined, '7']) {
      for await (const _event of transport.news(id, new AbortController().signal))
        throw new Error('no event');
    }
    expect(headers).toEqual([undefined, 'text/event-stream', '7', 'text/event-stream']);
  });

  test.for<[string, string, (response: ServerResponse) => void]>([
    [
      'one that breaks off',
      'stream-ended',
      (response) => response.write(event(1).slice(0, 9), () => response.destroy()),
    ],
    ['news that is no JSON', 'json-invalid', (response) => response.write(event(1, '{'))],
    ['news without files', 'metadata-malformed', (response) => response.write(event(1, '{"timestamp":""}'))],
    [
      'an event over the limit',
      'json-too-large',
      (response) => response.write(event(1, `"${'x'.repeat(EXCHANGE_LIMITS.event)}"`)),
    ],
    [
      'an event that never ends',
      'answer-too-large',
      (response) => {
        const line = Buffer.from(`data: ${'x'.repeat(65_536)}\n`);
        const pour = (): void => {
          if (response.write(line)) setImmediate(pour);
        };
        response.on('drain', pour);
        pour();
      },
    ],
  ])('%s', async ([, code, say]) => {
    await expect(listen(say).next()).rejects.toMatchObject({ code });
  });

  test('a refusal', async () => {
    body('', 503);
    const stream = transport.news(undefined, new AbortController().signal)[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toMatchObject({ code: 'service-failed' });
  });

  test('silence is given up, comments keep it up', async () => {
    let say = (): void => undefined;
    const stream = listen((response) => {
      say = () => void response.write(`: still here\n\n${event(1)}`);
      say();
    });
    await stream.next();
    clock.advance(39_000);
    say();
    await stream.next();
    clock.advance(39_000);
    const next = stream.next();
    clock.advance(20_000);
    await expect(next).rejects.toMatchObject({ code: 'stream-ended' });
    expect(clock.pending).toBe(0);
  });

  test('it ends quietly when it is called off', async () => {
    const ending = new AbortController();
    const stream = listen((response) => response.write(event(1)), ending.signal);
    await stream.next();
    const next = stream.next();
    ending.abort();
    expect((await next).done).toBe(true);
    expect(clock.pending).toBe(0);
  });
});
