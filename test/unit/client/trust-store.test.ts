// What survives on disk: all of it or none of it, and damage is never taken for a first start, which would let a
// rollback in.
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
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { ClientError } from '../../../client/errors.ts';
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
  expect(readdirSync(directory).sort()).toEqual(FILES);
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
  expect(readdirSync(directory).sort()).toEqual(FILES);
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
    expect(readdirSync(directory).sort()).toEqual(FILES);
  });

  test("but what is not the store's own stays", async () => {
    writeFileSync(at('root.json'), 'anchor');
    writeFileSync(at('default.x25519'), 'key');
    mkdirSync(at('lost+found'));
    await new TrustStore(directory, REALM).save(second);
    expect(readdirSync(directory).sort()).toEqual(
      [...FILES, 'default.x25519', 'lost+found', 'root.json'].sort(),
    );
  });
});

test('nobody else may look', () => {
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  for (const name of FILES) expect(statSync(at(name)).mode & 0o777).toBe(0o600);
});
