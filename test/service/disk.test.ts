// A disk that is full, and one that turns read-only under the running service: what is asked of it is answered, what cannot
// be kept is refused with a code, and nothing is half done. These mount file systems of their own, so they need root; the
// second also needs mkfs.ext4 and a loop device. Elsewhere they are skipped.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Publish } from '../../manifest/realm/exchange.ts';
import { startService } from '../../service/service.ts';
import { TestClient, makeClock } from '../support/realm-service.ts';
import type { TestClock } from '../support/realm-service.ts';
import { TestRealm, merged } from '../support/realm.ts';

const isRoot = process.getuid?.() === 0;
const hasLoop = isRoot && existsSync('/dev/loop-control') && existsSync('/usr/sbin/mkfs.ext4');
const MINUTE = 60_000;

let directory: string;
let disk: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lapse-disk-'));
  disk = join(directory, 'disk');
  mkdirSync(disk);
});

afterEach(() => {
  if (isRoot) execFileSync('umount', [disk]);
  rmSync(directory, { recursive: true });
});

interface Running extends AsyncDisposable {
  readonly client: TestClient;
  readonly realm: TestRealm;
  readonly clock: TestClock;
}

async function startOnDisk(): Promise<Running> {
  const clock = makeClock();
  const listen = { host: '127.0.0.1', port: 0 };
  const service = await startService({ data: join(disk, 'data'), listen, clock, log: () => undefined });
  const client = new TestClient({ url: service.url, pin: service.pin }, clock);
  const realm = await TestRealm.make(await client.onlineKeys(), { now: clock.now(), lease: 600 });
  const { host, publish } = await realm.join('web-1');
  await client.create(realm.genesis);
  const namespace = realm.delegate('payments');
  await client.publish(merged(merged(namespace, publish), await realm.put('payments', 'db')));
  return {
    client: client.as(host),
    realm,
    clock,
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

/** Whatever only reads is answered; whatever would have to be kept is refused. Returns the publish that was. */
async function expectReadsOnly({ client, realm, clock }: Running, why: string): Promise<Publish> {
  const before = await client.file('metadata/timestamp.json');
  const live = realm.secret('payments', 'db')!.newest!;
  const draft = await realm.put('payments', 'other', { value: Buffer.alloc(500 << 10) });
  const message = `the store could not be read or written: ${why}`;
  const refused = { status: 503, body: { code: 'store-failed', message } };
  expect(await client.publish(draft)).toMatchObject(refused);
  expect(await client.post('joins', joinOf(realm))).toMatchObject(refused);
  for (const path of [
    `targets/payments/${live.sha256}.db@1`,
    `echo/${'0'.repeat(64)}`,
    'metadata/1.payments.json',
    'receipts',
    'joins',
    'health',
  ]) {
    expect([path, (await client.get(path)).status]).toEqual([path, 200]);
  }
  // It should be signed anew by now, and is good for a while yet.
  clock.advance(6 * MINUTE);
  expect(await client.file('metadata/timestamp.json')).toEqual(before);
  using stream = await client.events();
  expect(Buffer.from((await stream.next())!.news.timestamp).equals(before)).toBe(true);
  clock.advance(5 * MINUTE);
  const response = await client.get('metadata/timestamp.json');
  expect([response.status, await response.json()]).toMatchObject([503, { code: 'store-failed' }]);
  return draft;
}

function joinOf(realm: TestRealm): string {
  const { signing, encryption } = [...realm.hosts.values()][0]!;
  const [id, mac] = ['0'.repeat(32), '0'.repeat(64)];
  return JSON.stringify({ id, name: 'web-2', signing, encryption, pools: ['default'], mac });
}

test.runIf(isRoot)('a full disk, and room again', async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=0700', 'lapse-test', disk]);
  await using running = await startOnDisk();
  const filler = join(disk, 'filler');
  expect(() => writeFileSync(filler, Buffer.alloc(8 << 20))).toThrow('ENOSPC');
  const refused = await expectReadsOnly(running, 'database or disk is full');
  const { client, realm, clock } = running;
  truncateSync(filler, 0);
  expect(await client.publish(refused)).toMatchObject({ status: 200 });
  await client.verify(realm.genesis.root, clock.now(), ['payments', 'fleet', 'fleet-hosts']);
  expect(await client.post('joins', joinOf(realm))).toMatchObject({ status: 201 });
});

test.runIf(isRoot)('a disk that was full before the first start', async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'lapse-test', disk]);
  expect(() => writeFileSync(join(disk, 'filler'), Buffer.alloc(1 << 20))).toThrow('ENOSPC');
  const options = { data: join(disk, 'data'), listen: { host: '127.0.0.1', port: 0 }, clock: makeClock() };
  await expect(startService({ ...options, log: () => undefined })).rejects.toMatchObject({
    code: expect.stringMatching(/^(store-failed|config-invalid)$/) as string,
  });
});

test.runIf(hasLoop)('a disk that turns read-only', async () => {
  const image = join(directory, 'image');
  writeFileSync(image, '');
  truncateSync(image, 16 << 20);
  execFileSync('/usr/sbin/mkfs.ext4', ['-q', '-O', '^has_journal', image]);
  execFileSync('mount', ['-o', 'loop,errors=remount-ro', image, disk]);
  await using running = await startOnDisk();
  const device = new RegExp(`^(\\S+) ${disk} `, 'm').exec(readFileSync('/proc/mounts', 'utf8'))![1]!;
  writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, 'test');
  expect(readFileSync('/proc/mounts', 'utf8')).toMatch(
    new RegExp(`^${device} .*(emergency_ro| ro[ ,])`, 'm'),
  );
  await expectReadsOnly(running, 'disk I/O error');
  await running[Symbol.asyncDispose]();
  const options = { data: join(disk, 'data'), listen: { host: '127.0.0.1', port: 0 }, clock: makeClock() };
  await expect(startService({ ...options, log: () => undefined })).rejects.toMatchObject({
    code: 'store-failed',
  });
});
