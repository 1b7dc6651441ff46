// The program lapse-service, as a child process: its one line, its exit codes, its end.
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, describe, expect, test } from 'vitest';
import { TestClient } from '../support/realm-service.ts';
import { TestRealm } from '../support/realm.ts';

const program = join(import.meta.dirname, '../../bin/lapse-service');
const directory = mkdtempSync(join(tmpdir(), 'lapse-service-program-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

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

async function start(data: string): Promise<{ child: ChildProcessWithoutNullStreams; url: string }> {
  const child = spawn(program, ['--data', data, '--listen', '127.0.0.1:0']);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const url = /^lapse-service: listening on (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(line.toString())?.[1];
  if (url === undefined) throw new Error(`unexpected: ${line.toString()}`);
  return { child, url };
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends it within 2 s with streams open, exit 0',
  async (signal) => {
    const { child, url } = await start(newData());
    const client = new TestClient(url);
    const realm = await TestRealm.make(await client.onlineKeys());
    await client.create(realm.genesis);
    const streams = await Promise.all([client.events(), client.events()]);
    await Promise.all(streams.map((stream) => stream.next()));
    // A request that never comes to its end must not hold the service up either.
    const stuck = fetch(`${url}/v1/publish`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from('{')) }),
      duplex: 'half',
    }).catch(() => undefined);
    const begun = performance.now();
    child.kill(signal);
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(performance.now() - begun).toBeLessThan(2000);
    expect(await Promise.all(streams.map((stream) => stream.next()))).toEqual([undefined, undefined]);
    await stuck;
  },
);

test('what it acknowledged survives SIGKILL', async () => {
  const data = newData();
  const first = await start(data);
  const client = new TestClient(first.url);
  const realm = await TestRealm.make(await client.onlineKeys());
  await client.create(realm.genesis);
  expect(await client.publish(realm.delegate('payments'))).toMatchObject({ status: 200 });
  first.child.kill('SIGKILL');
  await once(first.child, 'close');
  const second = await start(data);
  const set = await new TestClient(second.url).verify(realm.genesis.root, Date.now());
  expect(set.targets.get('targets')?.role.version).toBe(2);
  second.child.kill();
  await once(second.child, 'close');
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
    const { child, url } = await start(newData());
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
      'an address for everybody',
      ['--data', 'x', '--listen', '0.0.0.0:7700'],
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
  expect(stdout).toContain('lapse-service --data /var/lib/lapse-service\n');
  expect(stdout).toContain('(default: 127.0.0.1:7700)');
});
