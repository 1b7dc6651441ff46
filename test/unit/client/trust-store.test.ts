// What survives on disk: all of it or none of it, and damage is never taken for a first start, which would let a
// rollback in.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { ClientError } from '../../../client/errors.ts';
import { alone } from '../../../client/file-lock.ts';
import { TrustStore } from '../../../client/trust-store.ts';
import { parseRealmId } from '../../../manifest/names.ts';
import type { TrustedSet } from '../../../manifest/tuf/trusted-set.ts';
import { publishAll, trust } from '../manifest/repository.ts';

const REALM = parseRealmId('0'.repeat(64));
const OTHER = parseRealmId('1'.repeat(64));
const FILES = [
  '1.root.json',
  '2.payments.json',
  '2.snapshot.json',
  '2.targets.json',
  '2.timestamp.json',
  'trusted.json',
];

const LOCK = 'trusted.lock';
const THERE = [...FILES, LOCK].sort();

const first = trust(publishAll(1));
const second = trust({ ...publishAll(2), root: publishAll(1).root });

const scratch = mkdtempSync(join(tmpdir(), 'lapse-trust-store-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let count = 0;
let directory: string;
const at = (name: string): string => join(directory, name);

beforeEach(async () => {
  directory = join(scratch, String(++count), 'trust');
  await new TrustStore(directory, REALM).save(second);
});

/** Every trusted file, by its hash. */
const digest = (set: TrustedSet | undefined): unknown =>
  set && [set.root, set.timestamp, set.snapshot, ...set.targets.values()].map((file) => file?.sha256);

const load = (realm = REALM): ReturnType<TrustStore['load']> => new TrustStore(directory, realm).load();

test('what was saved comes back', async () => {
  expect(digest(await load())).toEqual(digest(second));
  expect(readdirSync(directory).sort()).toEqual(THERE);
});

test('nothing there is a first start', async () => {
  expect(await new TrustStore(at('elsewhere'), REALM).load()).toBeUndefined();
});

test('a later state replaces an earlier one, and its files', async () => {
  const store = new TrustStore(join(scratch, 'later'), REALM);
  await store.save(first);
  await store.save(second);
  directory = join(scratch, 'later');
  expect(digest(await load())).toEqual(digest(second));
  expect(readdirSync(directory).sort()).toEqual(THERE);
});

test('a state whose namespaces are not verified yet is saved as far as it goes', async () => {
  const { root, timestamp, snapshot } = second;
  const store = new TrustStore(directory, REALM);
  await store.save({ root, timestamp: timestamp!, snapshot: snapshot!, targets: new Map() });
  expect((await load())?.targets.size).toBe(0);
  expect((await load())?.snapshot?.role.version).toBe(2);
});

describe('damage is reported', () => {
  const json = (value: unknown) => () => writeFileSync(at('trusted.json'), JSON.stringify(value));

  test.for<[string, () => void]>([
    [
      'an index cut in half',
      () => writeFileSync(at('trusted.json'), readFileSync(at('trusted.json')).subarray(0, 40)),
    ],
    ['an empty index', () => writeFileSync(at('trusted.json'), '')],
    ['an index without files', json({ realm: REALM, files: [] })],
    ['an index that is no object', json([])],
    ['an index that leaves the directory', json({ realm: REALM, files: ['../1.root.json'] })],
    ['an index in another order', json({ realm: REALM, files: FILES.slice(0, 5) })],
    [
      'an index that is a directory',
      () => {
        rmSync(at('trusted.json'));
        mkdirSync(at('trusted.json'));
      },
    ],
    ...FILES.slice(0, 5).flatMap((file): [string, () => void][] => [
      [`${file} is missing`, () => rmSync(at(file))],
      [`${file} is cut short`, () => writeFileSync(at(file), readFileSync(at(file)).subarray(1))],
      [`${file} is empty`, () => writeFileSync(at(file), '')],
      [
        `${file} cannot be read`,
        () => {
          rmSync(at(file));
          symlinkSync(file, at(file));
        },
      ],
    ]),
    [
      "a directory in a file's place",
      () => {
        rmSync(directory, { recursive: true });
        writeFileSync(directory, '');
      },
    ],
  ])('%s', async ([, damage]) => {
    damage();
    const error = await load().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ClientError);
    expect(error).toMatchObject({ code: 'trust-store-unreadable' });
  });

  test('another realm', async () => {
    await expect(load(OTHER)).rejects.toMatchObject({ code: 'trust-store-unreadable' });
  });
});

describe('it cannot be written', () => {
  const save = (path: string): Promise<void> => new TrustStore(path, REALM).save(second);

  test("a file in the directory's place", async () => {
    writeFileSync(at('file'), '');
    await expect(save(at('file'))).rejects.toMatchObject({ code: 'trust-store-unwritable' });
  });

  test('a file above it', async () => {
    writeFileSync(at('file'), '');
    await expect(save(at('file/trust'))).rejects.toMatchObject({ code: 'trust-store-unwritable' });
  });

  test('before the index was replaced: what was saved earlier still counts', async () => {
    mkdirSync(at('trusted.json.new'));
    const store = new TrustStore(directory, REALM);
    await store.load();
    await expect(store.save(trust({ ...publishAll(3), root: publishAll(1).root }))).rejects.toMatchObject({
      code: 'trust-store-unwritable',
    });
    expect(digest(await load())).toEqual(digest(second));
  });
});

describe('leftovers of a crash', () => {
  const LEFT = ['trusted.json.new', '3.timestamp.json', '3.payments.json.new', '1.payments.json'];

  beforeEach(() => LEFT.forEach((name) => writeFileSync(at(name), '{')));

  test('are ignored', async () => {
    expect(digest(await load())).toEqual(digest(second));
  });

  test('go with the next save', async () => {
    await new TrustStore(directory, REALM).save(second);
    expect(readdirSync(directory).sort()).toEqual(THERE);
  });

  test("but what is not the store's own stays", async () => {
    writeFileSync(at('root.json'), 'anchor');
    writeFileSync(at('default.x25519'), 'key');
    mkdirSync(at('lost+found'));
    await new TrustStore(directory, REALM).save(second);
    expect(readdirSync(directory).sort()).toEqual(
      [...THERE, 'default.x25519', 'lost+found', 'root.json'].sort(),
    );
  });
});

describe('several at once', () => {
  const [PROCESSES, TIMES] = [4, 40];

  test('an older state does not replace a newer one, unless a new root stands behind it', async () => {
    await new TrustStore(directory, REALM).save(first);
    expect(digest(await load())).toEqual(digest(second));
    const { root, timestamp } = publishAll(1);
    const rotated = { ...trust({ ...publishAll(1), root, timestamp }) };
    const next = { ...rotated, root: { ...rotated.root, role: { ...rotated.root.role, version: 2 } } };
    await new TrustStore(directory, REALM).save(next);
    expect(readdirSync(directory)).toContain('1.timestamp.json');
  });

  test('a save waits for the one before', async () => {
    const turn = Promise.withResolvers<undefined>();
    const other = alone(at(LOCK), 1000, () => turn.promise);
    let isSaved = false;
    const third = trust({ ...publishAll(3), root: publishAll(1).root });
    const saving = new TrustStore(directory, REALM).save(third).then(() => (isSaved = true));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isSaved).toBe(false);
    turn.resolve(undefined);
    await Promise.all([other, saving]);
    expect(digest(await load())).toEqual(digest(third));
  });

  test('but not for ever', async () => {
    const turn = Promise.withResolvers<undefined>();
    const other = alone(at(LOCK), 1000, () => turn.promise);
    await expect(alone(at(LOCK), 20, () => Promise.resolve())).rejects.toThrow(/locked for 20 ms/);
    turn.resolve(undefined);
    await other;
  });

  test('no load and no save of many processes fails, and a killed one is in nobody’s way', async () => {
    const published = join(scratch, 'published');
    const { root } = publishAll(1);
    for (let version = 1; version <= 2 * PROCESSES * TIMES; version++) {
      mkdirSync(join(published, String(version)), { recursive: true });
      for (const [role, bytes] of Object.entries({ ...publishAll(version), root }))
        writeFileSync(join(published, String(version), role), bytes);
    }
    const program = new URL('trust-store-user.ts', import.meta.url).pathname;
    const start = (times: number): { child: ChildProcess; ended: Promise<string> } => {
      const child = spawn(process.execPath, [program, directory, REALM, published, String(times)], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const output = [child.stdout, child.stderr].map((stream) => text(stream));
      return { child, ended: Promise.all(output).then(([said, errors]) => errors || said!) };
    };
    const doomed = start(Infinity);
    const users = Array.from({ length: PROCESSES }, () => start(TIMES));
    const half = users[0]!.ended.then(() => doomed.child.kill('SIGKILL'));
    const ends = await Promise.all(users.map(({ ended }) => ended));
    await half;
    for (const end of ends) expect(end).toMatch(/^\d+$/);
    const newest = (await load())?.timestamp?.role.version ?? 0;
    expect(newest).toBeGreaterThanOrEqual(Math.max(...ends.map(Number)));
    await new TrustStore(directory, REALM).save(trust({ ...publishAll(newest + 1), root }));
    expect(readdirSync(directory)).toHaveLength(THERE.length);
  });
});

test('nobody else may look', () => {
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  for (const name of THERE) expect(statSync(at(name)).mode & 0o777).toBe(0o600);
});
