// The service behind a pin, over real sockets: who is talked to, what reaches whom, and how long a connection is kept.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect as connectPlain, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer as createTlsServer } from 'node:tls';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { readBody, send, serviceAddress } from '../../client/http.ts';
import type { ServiceAddress } from '../../client/http.ts';
import { openTlsIdentity } from '../../service/tls-identity.ts';
import { startTestService } from '../support/realm-service.ts';
import type { TestService } from '../support/realm-service.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-tls-'));
const servers: Server[] = [];
let service: TestService;

beforeAll(async () => {
  service = await startTestService();
});

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

afterAll(async () => {
  await service[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

async function get(
  { url, pin }: ServiceAddress,
  path = '/v1/health',
  secret = 'x',
): Promise<IncomingMessage> {
  const headers = { authorization: `Bearer ${secret}` };
  return send({ to: url, pin, method: 'GET', path, headers, signal: AbortSignal.timeout(10_000) });
}

const health = async (address: ServiceAddress): Promise<string> =>
  (await readBody(await get(address), address.url, 1000)).toString();

/** Listens on a free port; everything that arrives in the clear, or after TLS, is collected. */
async function listen(server: Server): Promise<{ url: string; heard: () => string }> {
  const chunks: Buffer[] = [];
  const collect = (socket: Socket): void =>
    void socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => undefined);
  server.on('secureConnection', collect).on('connection', collect);
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}`, heard: () => Buffer.concat(chunks).toString('latin1') };
}

/** A TLS server with a key and certificate of its own. */
async function stranger(options: TlsOptions = {}): Promise<Server> {
  const { key, certificate } = await openTlsIdentity(mkdtempSync(join(directory, 'stranger-')));
  return createTlsServer({
    key: key.export({ format: 'pem', type: 'pkcs8' }),
    cert: certificate.toString(),
    ...options,
  });
}

test('the right pin', async () => {
  expect(await health(service.client.address)).toBe('{"realm":false,"streams":0}');
});

test.each([
  ['no pin', undefined, 'pin-needed'],
  ['no base64url', `sha256:${'+'.repeat(43)}`, 'usage'],
  ['another spelling of the last bits', `sha256:${'A'.repeat(42)}B`, 'usage'],
  ['a hash alone', 'A'.repeat(43), 'usage'],
])('%s', async (_what, pin, code) => {
  expect(() => serviceAddress({ url: service.client.url, pin })).toThrow(expect.objectContaining({ code }));
  await expect(get({ url: service.client.url, pin })).rejects.toMatchObject({ code });
});

test.each(['http://192.0.2.1:7700', 'http://localhost.example:7700', 'ftp://127.0.0.1', 'nonsense'])(
  '%s is no address of a service',
  (url) => {
    expect(() => serviceAddress({ url })).toThrow(expect.objectContaining({ code: 'usage' }));
  },
);

test('a wrong pin: nothing of the request leaves this machine', async () => {
  const { url, heard } = await listen(await stranger());
  const refused = get({ url, pin: service.client.address.pin }, '/v1/health', 'a-token-of-a-host');
  await expect(refused).rejects.toMatchObject({ code: 'pin-mismatch' });
  // What was heard is the handshake, and no data after it.
  const plain = heard();
  expect(plain).not.toContain('GET');
  expect(plain).not.toContain('a-token-of-a-host');
});

test('a man in the middle with a certificate of his own gets no byte, and the service none from him', async () => {
  const { port } = new URL(service.client.url);
  const middle = await stranger();
  middle.on('secureConnection', (socket: Socket) => {
    const onward = connect({ port: Number(port), rejectUnauthorized: false });
    socket.pipe(onward).pipe(socket);
  });
  const { url, heard } = await listen(middle);
  await expect(get({ ...service.client.address, url })).rejects.toMatchObject({ code: 'pin-mismatch' });
  expect(heard()).not.toContain('GET');
  // The same man, merely passing bytes on, is no more than a cable.
  const cable = createServer((socket) => {
    const onward = connectPlain({ port: Number(port) });
    socket
      .on('error', () => undefined)
      .pipe(onward.on('error', () => undefined))
      .pipe(socket);
  });
  const passed = await listen(cable);
  expect(await health({ ...service.client.address, url: passed.url })).toContain('realm');
  expect(passed.heard()).not.toContain('GET');
});

test.each(['TLSv1.2', 'TLSv1.1'] as const)('a server that speaks %s only', async (maxVersion) => {
  const identity = await stranger({ minVersion: 'TLSv1', maxVersion });
  const { url } = await listen(identity);
  await expect(get({ ...service.client.address, url })).rejects.toMatchObject({
    code: 'service-unreachable',
  });
});

test('the service speaks nothing older than TLS 1.3', async () => {
  const socket = connect({
    port: Number(new URL(service.client.url).port),
    rejectUnauthorized: false,
    maxVersion: 'TLSv1.2',
  });
  expect(await once(socket, 'error')).toMatchObject([
    { code: expect.stringContaining('PROTOCOL_VERSION') as string },
  ]);
});

test('plain HTTP where HTTPS was asked for, and the other way round', async () => {
  const plain = createHttpServer((_request, response) => void response.end('{}'));
  const { url, heard } = await listen(plain);
  await expect(get({ ...service.client.address, url })).rejects.toMatchObject({
    code: 'service-unreachable',
  });
  expect(heard()).not.toContain('GET');
  const http = service.client.url.replace('https', 'http');
  await expect(get({ url: http })).rejects.toMatchObject({ code: 'service-unreachable' });
});

test('one connection serves one request after another; a second pin never gets it', async () => {
  let connections = 0;
  const { url, pin } = service.client.address;
  const cable = createServer((socket) => {
    connections++;
    const onward = connectPlain({ port: Number(new URL(url).port) });
    socket
      .on('error', () => undefined)
      .pipe(onward.on('error', () => undefined))
      .pipe(socket);
  });
  const { url: passed } = await listen(cable);
  for (let i = 0; i < 3; i++) await health({ url: passed, pin });
  expect(connections).toBe(1);
  const other = `sha256:${'A'.repeat(43)}`;
  await expect(get({ url: passed, pin: other })).rejects.toMatchObject({ code: 'pin-mismatch' });
  expect(connections).toBe(2);
  await health({ url: passed, pin });
  expect(connections).toBe(2);
});

test('an idle connection is kept for more than 15 minutes', async () => {
  const answer = await get(service.client.address);
  const kept = Number(/timeout=(\d+)/.exec(String(answer.headers['keep-alive']))?.[1]);
  expect(kept).toBeGreaterThan(15 * 60);
  answer.resume();
});

test('a kept connection that breaks under a GET: it is asked once more; a POST is not', async () => {
  const { url, pin } = service.client.address;
  const sockets: Socket[] = [];
  const doomed = new Set<Socket>();
  const cable = createServer((socket) => {
    sockets.push(socket);
    const onward = connectPlain({ port: Number(new URL(url).port) });
    onward.on('error', () => undefined).pipe(socket);
    socket
      .on('error', () => undefined)
      .on('data', (chunk) => {
        if (doomed.has(socket)) socket.resetAndDestroy();
        else onward.write(chunk);
      });
  });
  const { url: passed } = await listen(cable);
  await health({ url: passed, pin });
  doomed.add(sockets[0]!);
  expect(await health({ url: passed, pin })).toContain('realm');
  expect(sockets).toHaveLength(2);
  doomed.add(sockets[1]!);
  const signal = AbortSignal.timeout(5000);
  const post = send({ to: passed, pin, method: 'POST', path: '/v1/publish', body: {}, signal });
  await expect(post).rejects.toMatchObject({ code: 'service-unreachable' });
  expect(sockets).toHaveLength(2);
});

test('a new connection that breaks is an answer, and is not asked again', async () => {
  const server = await stranger();
  let asked = 0;
  server.on('secureConnection', (socket: Socket) => {
    socket.once('data', () => {
      asked++;
      socket.destroy();
    });
  });
  const { url } = await listen(server);
  await expect(get({ url, pin: await pinAt(url) })).rejects.toMatchObject({ code: 'service-unreachable' });
  expect(asked).toBe(1);
});

test('sessions are never resumed, so each connection shows its key', async () => {
  const server = await stranger();
  const resumed: boolean[] = [];
  server.on('secureConnection', (socket: TLSSocket) => {
    socket.once('data', () => {
      resumed.push(socket.isSessionReused());
      socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
  });
  const { url } = await listen(server);
  const pin = await pinAt(url);
  for (let i = 0; i < 3; i++) (await get({ url, pin })).resume();
  expect(resumed).toEqual([false, false, false]);
});

/** The pin of whoever answers. */
async function pinAt(url: string): Promise<string> {
  const socket = connect({ port: Number(new URL(url).port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const spki = socket.getPeerX509Certificate()!.publicKey.export({ format: 'der', type: 'spki' });
  socket.destroy();
  return `sha256:${createHash('sha256').update(spki).digest('base64url')}`;
}
