// The embedded store: the contract, and what is peculiar to SQLite: who may open the file, and what a kill leaves.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { openSqliteStore } from '../../service/store/sqlite.ts';
import type { Store } from '../../service/store/store.ts';
import { testStoreContract } from './store-contract.ts';

const directory = mkdtempSync(join(tmpdir(), 'lapse-store-'));
const paths = new WeakMap<Store, string>();
let count = 0;
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const writer = fileURLToPath(new URL('./store-writer.ts', import.meta.url));
const newPath = (): string => join(directory, `${++count}.sqlite`);

function open(path = newPath()): Promise<Store> {
  const store = openSqliteStore(path);
  paths.set(store, path);
  return Promise.resolve(store);
}

testStoreContract(open, async (store) => {
  await store.close();
  return open(paths.get(store));
});

test('the change log is bounded', async () => {
  const store = openSqliteStore(newPath(), 2);
  for (let i = 0; i < 4; i++)
    await store.commit({ expect: [], put: [{ key: 'a', value: Buffer.from('a') }] });
  expect(await store.changesSince(1, 9)).toBe('compacted');
  expect(await store.changesSince(2, 9)).toHaveLength(2);
  await store.close();
});

test('every file of it is for its owner only', async () => {
  const path = join(mkdtempSync(join(directory, 'modes-')), 'store.sqlite');
  const umask = process.umask(0);
  const store = openSqliteStore(path);
  process.umask(umask);
  await store.commit({ expect: [], put: [{ key: 'a', value: Buffer.from('a') }] });
  const files = readdirSync(join(path, '..'));
  expect(files.sort()).toEqual(['store.sqlite', 'store.sqlite-wal']);
  for (const file of files) expect(statSync(join(path, '..', file)).mode & 0o777).toBe(0o600);
  await store.close();
});

test('a second opener is refused, also before the first commit', async () => {
  const path = newPath();
  const store = await open(path);
  expect(() => openSqliteStore(path)).toThrow(expect.objectContaining({ code: 'store-locked' }));
  await store.close();
  await openSqliteStore(path).close();
});

test('another process is refused too', async () => {
  const path = newPath();
  const store = await open(path);
  const child = spawn(process.execPath, [writer, path]);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  expect(await once(child, 'close')).toEqual([1, null]);
  expect(stderr).toContain('another process has this store open');
  await store.close();
});

test('a schema of another time is refused', () => {
  const path = newPath();
  const db = new DatabaseSync(path);
  db.exec('PRAGMA user_version = 99');
  db.close();
  chmodSync(path, 0o600);
  expect(() => openSqliteStore(path)).toThrow(expect.objectContaining({ code: 'store-unsupported' }));
});

test('what is no database is refused', () => {
  const file = newPath();
  writeFileSync(file, 'x'.repeat(5000));
  for (const path of [directory, file]) {
    expect(() => openSqliteStore(path)).toThrow(expect.objectContaining({ code: 'store-failed' }));
  }
});

test('SIGKILL in the middle of commits leaves each whole or absent, and no acknowledged one is lost', async () => {
  const path = newPath();
  for (let round = 0; round < 6; round++) {
    const child = spawn(process.execPath, [writer, path]);
    let acknowledged = '';
    child.stdout.on('data', (chunk: Buffer) => (acknowledged += chunk.toString()));
    await once(child.stdout, 'data');
    await sleep(20 + round * 13);
    child.kill('SIGKILL');
    await once(child, 'close');
    const store = await open(path);
    const [left, right] = [await store.get('left'), await store.get('right')];
    expect(left).toEqual(right);
    const last = Number(acknowledged.trimEnd().split('\n').at(-1));
    expect(Number(Buffer.from(left!.value))).toBeGreaterThanOrEqual(last);
    await store.close();
  }
});
