// The program lapse-service, as a child process: its one line, its exit codes, its end.
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { ServiceAddress } from '../../client/http.ts';
import { TestClient } from '../support/realm-service.ts';
import { TestRealm } from '../support/realm.ts';

const program = join(import.meta.dirname, '../../bin/lapse-service');
const directory = mkdtempSync(join(tmpdir(), 'lapse-service-program-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const started = new Set<ChildProcessWithoutNullStreams>();
afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  started.clear();
});

const newData = (): string => mkdtempSync(join(directory, 'data-'));

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(program, args);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ]);
  return { code, stdout, stderr };
}

interface Started {
  readonly child: ChildProcessWithoutNullStreams;
  readonly address: ServiceAddress;
  readonly client: TestClient;
}

async function start(data: string, ...more: readonly string[]): Promise<Started> {
  const child = spawn(program, ['--data', data, '--listen', '127.0.0.1:0', ...more]);
  started.add(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const [, url, pin] =
    /^lapse-service: listening on (https?:\/\/[\d.]+:\d+)(?: pin (sha256:[\w-]{43}))?\n$/.exec(
      line.toString(),
    ) ?? [];
  if (url === undefined) throw new Error(`unexpected: ${line.toString()}`);
  const address = pin === undefined ? { url } : { url, pin };
  return { child, address, client: new TestClient(address) };
}

/**
 * It waits for what is under way for a second, and is gone in the next; the rest is for a machine that stands still meanwhile.
 * Waiting for what is stuck would take minutes.
 */
const END_MS = 2000 + 8000;

test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it soon with streams open, exit 0', async (signal) => {
  const { child, client } = await start(newData());
  const realm = await TestRealm.make(await client.onlineKeys());
  await client.create(realm.genesis);
  const { host, publish } = await realm.join('web-1');
  await client.publish(publish);
  const streams = await Promise.all([client.as(host).events(), client.as(host).events()]);
  await Promise.all(streams.map((stream) => stream.next()));
  const receipts = await client.stream('receipts/events');
  // A request that never comes to its end must not hold the service up either.
  const stuck = connect({ port: Number(new URL(client.url).port), rejectUnauthorized: false });
  stuck.on('error', () => undefined);
  await once(stuck, 'secureConnect');
  stuck.write('POST /v1/publish HTTP/1.1\r\nHost: lapse\r\nContent-Length: 9\r\n\r\n{');
  const begun = performance.now();
  child.kill(signal);
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(performance.now() - begun).toBeLessThan(END_MS);
  expect(await Promise.all(streams.map((stream) => stream.next()))).toEqual([undefined, undefined]);
  expect(await receipts.nextOf('receipt')).toBeUndefined();
  stuck.destroy();
});

test('the pin stays the same, and `pin` prints it', async () => {
  const data = newData();
  expect(await run('pin', '--data', data)).toMatchObject({ code: 1, stdout: '' });
  const { child, address } = await start(data);
  expect(await run('pin', '--data', data)).toEqual({ code: 0, stdout: `${address.pin!}\n`, stderr: '' });
  child.kill();
  await once(child, 'close');
  const again = await start(data);
  expect(again.address.pin).toBe(address.pin);
  again.child.kill();
  await once(again.child, 'close');
});

test('--http on a loopback address has no pin', async () => {
  const { child, address, client } = await start(newData(), '--http');
  expect(address).toEqual({ url: expect.stringMatching(/^http:/) as string });
  expect(await (await client.get('health')).json()).toEqual({ realm: false, streams: 0 });
  child.kill();
  await once(child, 'close');
});

describe('what cannot work is one sentence and exit 1', () => {
  test('a directory that another service uses', async () => {
    const data = newData();
    const { child } = await start(data);
    const { code, stderr, stdout } = await run('--data', data, '--listen', '127.0.0.1:0');
    expect({ code, stderr, stdout }).toEqual({
      code: 1,
      stderr: 'lapse-service: another process has this store open\n',
      stdout: '',
    });
    child.kill();
    await once(child, 'close');
  });

  test('a port that is taken', async () => {
    const { child, address } = await start(newData());
    const { url } = address;
    const { code, stderr } = await run('--data', newData(), '--listen', new URL(url).host);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `lapse-service: cannot listen on ${url} (EADDRINUSE)\n`,
    });
    child.kill();
    await once(child, 'close');
  });

  test('a state directory that is a file', async () => {
    const { code, stderr } = await run('--data', import.meta.filename);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^lapse-service: .* cannot be used as state directory\n$/);
  });
});

describe('a command line that is not understood is exit 2', () => {
  test.each([
    ['no state directory', [], /required option '--data <dir>' not specified/],
    [
      'plain HTTP for everybody',
      ['--data', 'x', '--http', '--listen', '0.0.0.0:7700'],
      /0\.0\.0\.0:7700 is not a loopback address/,
    ],
    ['an unknown option', ['--data', 'x', '--verbose'], /unknown option '--verbose'/],
    ['an argument too many', ['--data', 'x', 'y'], /too many arguments/],
  ])('%s', async (_what, args, message) => {
    const { code, stderr, stdout } = await run(...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
  });
});

test('--help shows examples and the default address', async () => {
  const { code, stdout } = await run('--help');
  expect(code).toBe(0);
  expect(stdout).toContain('lapse-service --data /var/lib/lapse-service --listen 0.0.0.0:7700\n');
  expect(stdout).toContain('(default: 127.0.0.1:7700)');
});
