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
import { NO_MEMORY } from '../../../client/reading.ts';
import type { Memory } from '../../../client/reading.ts';
import { TrustStore } from '../../../client/trust-store.ts';
import { parseNamespace, parseRealmId } from '../../../manifest/names.ts';
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
  await save(new TrustStore(directory, REALM), second);
});

const NOBODY: ReadonlySet<string> = new Set();
const save = (store: TrustStore, set: TrustedSet, memory: Memory = NO_MEMORY): Promise<void> =>
  store.save(set, memory, NOBODY);

/** Every trusted file, by its hash. */
const digest = (set: TrustedSet | undefined): unknown =>
  set && [set.root, set.timestamp, set.snapshot, ...set.targets.values()].map((file) => file?.sha256);

const load = async (realm = REALM): Promise<TrustedSet | undefined> =>
  (await new TrustStore(directory, realm).load()).set;

test('what was saved comes back', async () => {
  expect(digest(await load())).toEqual(digest(second));
  expect(readdirSync(directory).sort()).toEqual(THERE);
});

test('nothing there is a first start', async () => {
  expect(await new TrustStore(at('elsewhere'), REALM).load()).toEqual({ memory: NO_MEMORY });
});

test('a later state replaces an earlier one, and its files', async () => {
  const store = new TrustStore(join(scratch, 'later'), REALM);
  await save(store, first);
  await save(store, second);
  directory = join(scratch, 'later');
  expect(digest(await load())).toEqual(digest(second));
  expect(readdirSync(directory).sort()).toEqual(THERE);
});

test('a state whose namespaces are not verified yet is saved as far as it goes', async () => {
  const { root, timestamp, snapshot } = second;
  const store = new TrustStore(directory, REALM);
  await save(store, { root, timestamp: timestamp!, snapshot: snapshot!, targets: new Map() });
  expect((await load())?.targets.size).toBe(0);
  expect((await load())?.snapshot?.role.version).toBe(2);
});

describe('what must not be forgotten', () => {
  const DB = 'payments/db';
  const floors = (revokedThrough: number): Memory['floors'] =>
    new Map([[DB, { revokedThrough, revoked: [], grants: new Map() }]]);
  const payments = parseNamespace('payments');
  const predecessors = (): readonly string[] =>
    readdirSync(directory).filter((name) => /^before-.*\.payments\.json$/.test(name));
  const recall = async (): Promise<Memory> => (await new TrustStore(directory, REALM).load()).memory;

  test('comes back: floors, delegations, and the last good file of a role that fails', async () => {
    const memory: Memory = {
      floors: floors(3),
      delegated: new Map([[payments, true]]),
      predecessors: new Map([['payments', publishAll(1).payments]]),
    };
    await new TrustStore(directory, REALM).save(second, memory, new Set(['payments']));
    const { set, memory: back } = await new TrustStore(directory, REALM).load();
    expect(set?.targets.has('payments')).toBe(false);
    expect(back.floors).toEqual(memory.floors);
    expect(back.delegated).toEqual(memory.delegated);
    expect(Buffer.from(back.predecessors.get('payments')!)).toEqual(Buffer.from(publishAll(1).payments));
    expect(predecessors()).toHaveLength(1);
    await save(new TrustStore(directory, REALM), second);
    expect(predecessors()).toEqual([]);
  });

  test('two who save never lower what either remembers', async () => {
    await save(new TrustStore(directory, REALM), second, { ...NO_MEMORY, floors: floors(5) });
    await save(new TrustStore(directory, REALM), second, { ...NO_MEMORY, floors: floors(2) });
    expect((await recall()).floors.get(DB)?.revokedThrough).toBe(5);
    await save(new TrustStore(directory, REALM), first, { ...NO_MEMORY, floors: floors(7) });
    expect((await recall()).floors.get(DB)?.revokedThrough).toBe(7);
    expect(digest(await load())).toEqual(digest(second));
  });
});

describe('damage is reported', () => {
  const EMPTY = { realm: REALM, predecessors: [], floors: {}, delegated: {} };
  const json = (value: unknown) => () => writeFileSync(at('trusted.json'), JSON.stringify(value));

  test.for<[string, () => void]>([
    [
      'an index cut in half',
      () => writeFileSync(at('trusted.json'), readFileSync(at('trusted.json')).subarray(0, 40)),
    ],
    ['an empty index', () => writeFileSync(at('trusted.json'), '')],
    ['an index without files', json({ ...EMPTY, files: [] })],
    ['an index that is no object', json([])],
    [
      'an index without what was taken back',
      json({ realm: REALM, files: FILES.slice(0, 1), predecessors: [] }),
    ],
    ['a floor that is none', json({ ...EMPTY, files: FILES.slice(0, 1), floors: { 'payments/db': 7 } })],
    [
      'a predecessor that is missing',
      json({ ...EMPTY, files: FILES.slice(0, 1), predecessors: ['before-0123456789abcdef.payments.json'] }),
    ],
    ['an index that leaves the directory', json({ ...EMPTY, files: ['../1.root.json'] })],
    ['an index in another order', json({ ...EMPTY, files: FILES.slice(0, 5) })],
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
  const saveAt = (path: string): Promise<void> => save(new TrustStore(path, REALM), second);

  test("a file in the directory's place", async () => {
    writeFileSync(at('file'), '');
    await expect(saveAt(at('file'))).rejects.toMatchObject({ code: 'trust-store-unwritable' });
  });

  test('a file above it', async () => {
    writeFileSync(at('file'), '');
    await expect(saveAt(at('file/trust'))).rejects.toMatchObject({ code: 'trust-store-unwritable' });
  });

  test('before the index was replaced: what was saved earlier still counts', async () => {
    mkdirSync(at('trusted.json.new'));
    const store = new TrustStore(directory, REALM);
    await store.load();
    await expect(save(store, trust({ ...publishAll(3), root: publishAll(1).root }))).rejects.toMatchObject({
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
    await save(new TrustStore(directory, REALM), second);
    expect(readdirSync(directory).sort()).toEqual(THERE);
  });

  test("but what is not the store's own stays", async () => {
    writeFileSync(at('root.json'), 'anchor');
    writeFileSync(at('default.x25519'), 'key');
    mkdirSync(at('lost+found'));
    await save(new TrustStore(directory, REALM), second);
    expect(readdirSync(directory).sort()).toEqual(
      [...THERE, 'default.x25519', 'lost+found', 'root.json'].sort(),
    );
  });
});

describe('several at once', () => {
  const [PROCESSES, TIMES] = [4, 30];

  test('an older state does not replace a newer one, unless a new root stands behind it', async () => {
    await save(new TrustStore(directory, REALM), first);
    expect(digest(await load())).toEqual(digest(second));
    const { root, timestamp } = publishAll(1);
    const rotated = { ...trust({ ...publishAll(1), root, timestamp }) };
    const next = { ...rotated, root: { ...rotated.root, role: { ...rotated.root.role, version: 2 } } };
    await save(new TrustStore(directory, REALM), next);
    expect(readdirSync(directory)).toContain('1.timestamp.json');
  });

  test('a save waits for the one before', async () => {
    const turn = Promise.withResolvers<undefined>();
    const other = alone(at(LOCK), 1000, () => turn.promise);
    let isSaved = false;
    const third = trust({ ...publishAll(3), root: publishAll(1).root });
    const saving = save(new TrustStore(directory, REALM), third).then(() => (isSaved = true));
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
    await save(new TrustStore(directory, REALM), trust({ ...publishAll(newest + 1), root }));
    expect(readdirSync(directory)).toHaveLength(THERE.length);
  }, 60_000);
});

test('nobody else may look', () => {
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  for (const name of THERE) expect(statSync(at(name)).mode & 0o777).toBe(0o600);
});
