// `lapse init` that is broken off: before the service heard of it, after, or by a refusal. A proxy between the two programs
// does the breaking. The next run goes on with the same keys; a refusal leaves nothing behind.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';

const BIN = join(import.meta.dirname, '../../../bin');

/** What becomes of `POST /v1/realm`. */
type Birth = 'passed' | 'lost on the way' | 'done, but the answer is lost' | 'refused';

let directory: string;
let birth: Birth;
let url: string;
let service: ReturnType<typeof spawn>;
let upstream: string;
const proxy = createServer((asked, answer) => void handle(asked, answer));

async function handle(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
  const body = await buffer(asked);
  const isBirth = asked.method === 'POST' && asked.url === '/v1/realm';
  if (isBirth && birth === 'lost on the way') return void answer.destroy();
  if (isBirth && birth === 'refused') {
    answer.writeHead(403, { 'content-type': 'application/json' });
    return void answer.end(JSON.stringify({ code: 'forbidden', message: 'not here' }));
  }
  const { method, url: path, headers } = asked;
  const forwarded = request(new URL(path!, upstream), { method: method!, headers });
  forwarded.end(body);
  const [got] = (await once(forwarded, 'response')) as [IncomingMessage];
  const content = await buffer(got);
  if (isBirth && birth === 'done, but the answer is lost') return void answer.destroy();
  answer.writeHead(got.statusCode!, got.headers).end(content);
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lapse-init-'));
  service = spawn(join(BIN, 'lapse-service'), [
    '--data',
    join(directory, 'store'),
    '--listen',
    '127.0.0.1:0',
    '--http',
  ]);
  const [line] = (await once(service.stdout!, 'data', { signal: AbortSignal.timeout(60_000) })) as [Buffer];
  upstream = /http:\S+/.exec(line.toString())![0];
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
});

afterEach(async () => {
  const ended = once(service, 'exit');
  service.kill('SIGKILL');
  await ended;
  proxy.closeAllConnections();
  await new Promise((resolve) => proxy.close(resolve));
  rmSync(directory, { recursive: true });
});

async function lapse(...words: readonly string[]): Promise<{ code: number; said: string }> {
  const env = { PATH: '/usr/bin:/bin', HOME: directory, LAPSE_REALM: 'operator', XDG_RUNTIME_DIR: directory };
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  const child = spawn(join(BIN, 'lapse'), words, { cwd: directory, env, stdio: [...stdio], detached: true });
  const [out, error, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number]>,
  ]);
  return { code, said: out + error };
}

const init = () => lapse('init', '--service', url, '--no-passphrase');
const at = (...names: readonly string[]): string => join(directory, 'operator', ...names);

test.for<Birth>(['lost on the way', 'done, but the answer is lost'])(
  '%s: the next run goes on',
  async (how) => {
    birth = how;
    const broken = await init();
    expect(broken.code).toBe(1);
    expect(broken.said).toContain('to go on, run it again');
    expect(readdirSync(at()).sort()).toEqual(['genesis.json', 'identities']);
    const identity = readFileSync(at('identities/operator.identity'));
    expect((await lapse('namespace', 'add', 'payments')).said).toContain('`lapse init` was broken off here');
    const elsewhere = await lapse('init', '--service', 'http://127.0.0.1:1', '--no-passphrase');
    expect(elsewhere.said).toContain('[realm-directory-exists]');

    birth = 'passed';
    const again = await init();
    expect(again.said).toMatch(/^Realm .* is ready/);
    expect(again.code).toBe(0);
    expect(readFileSync(at('identities/operator.identity'))).toEqual(identity);
    expect(readdirSync(at()).sort()).toEqual(['identities', 'realm.json', 'root.json']);
    expect((await lapse('namespace', 'add', 'payments')).code).toBe(0);
  },
);

test('refused: nothing is left behind, and another run begins anew', async () => {
  birth = 'refused';
  expect((await init()).said).toContain('[service-refused]');
  expect(existsSync(at())).toBe(false);
  birth = 'passed';
  expect((await init()).code).toBe(0);
});

test('refused: an identity that was there before stays', async () => {
  birth = 'refused';
  await lapse('identity', 'create', 'root', '--no-passphrase');
  await init();
  expect(readdirSync(at('identities'))).toEqual(['root.identity']);
});
