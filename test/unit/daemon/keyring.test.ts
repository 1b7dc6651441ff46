// The pool keys of a host: fetched as its record names them, opened with its own key, each the one that the fleet signs.
import { beforeEach, describe, expect, test } from 'vitest';
import type { RealmState } from '../../../client/reading.ts';
import { ClientError } from '../../../client/errors.ts';
import { Keyring } from '../../../daemon/host/keyring.ts';
import { parseNamespace, parsePoolName, parseSecretName } from '../../../manifest/names.ts';
import type { VersionContext } from '../../../manifest/realm/envelope.ts';
import { encodeKeyring, keyringFile } from '../../../manifest/realm/hosts.ts';
import type { HostRecord } from '../../../manifest/realm/hosts.ts';
import type { WrappedKey } from '../../../manifest/realm/jwe.ts';
import { wrapKey } from '../../../manifest/realm/key-wrap.ts';
import { wrapPoolKey } from '../../../manifest/realm/pool-key.ts';
import { importRecipient, recipientOf } from '../../../manifest/realm/recipient.ts';
import { sha256 } from '../../../manifest/tuf/metadata.ts';
import { TestRealm, makePool, makeSigner } from '../../support/realm.ts';
import type { TestHost, TestPool } from '../../support/realm.ts';

const [DEFAULT, OTHER] = ['default', 'other'].map(parsePoolName) as [never, never];
const NOTHING = new Map<string, Uint8Array>();

let realm: TestRealm;
let host: TestHost;
let keyring: Keyring;
let changes: number;
let files: Map<string, Uint8Array>;
let asked: string[];
let context: VersionContext;

beforeEach(async () => {
  realm = await TestRealm.make({ snapshot: makeSigner().publicHex, timestamp: makeSigner().publicHex });
  ({ host } = await realm.join('web-1'));
  [changes, asked] = [0, []];
  files = new Map<string, Uint8Array>();
  const target = (file: string): Promise<Uint8Array> => {
    asked.push(file);
    const bytes = files.get(file);
    return bytes ? Promise.resolve(bytes) : Promise.reject(new ClientError('service-unreachable', 'gone'));
  };
  const { encryptionKey } = host;
  keyring = new Keyring({
    realm: realm.id,
    encryptionKey,
    transport: { target },
    onChange: () => (changes += 1),
  });
  context = {
    realm: realm.id,
    namespace: parseNamespace('payments'),
    name: parseSecretName('db'),
    version: 1,
  };
});

const stateNow = (fleet = realm.fleet): RealmState =>
  ({ fleet, set: { targets: new Map([['fleet', realm.role('fleet')]]) } }) as unknown as RealmState;

/** Its record with that keyring, which the service then has. */
function recordOf(bytes: Uint8Array): HostRecord {
  const keyringOf = { length: bytes.length, sha256: sha256(bytes) };
  const record = { ...host, joined: 0, keyring: keyringOf } as HostRecord;
  files.set(keyringFile(record), bytes);
  return record;
}

const follow = (bytes: Uint8Array, pushed = NOTHING): HostRecord => {
  const record = recordOf(bytes);
  keyring.follow(stateNow(), record, pushed);
  return record;
};

const wrapped = async (pool: TestPool): Promise<WrappedKey> =>
  wrapKey(Buffer.alloc(32, 7), await importRecipient(pool), context);

async function opens(pool: TestPool, allowed: readonly never[] = [DEFAULT]): Promise<string> {
  try {
    const key = await keyring.unwrap([await wrapped(pool)], context, allowed);
    return Buffer.from(key).equals(Buffer.alloc(32, 7)) ? 'opens' : 'another key';
  } catch (error) {
    return (error as ClientError).code;
  }
}

async function entry(pool: TestPool, of: { raw?: Uint8Array; epoch?: number; to?: TestHost } = {}) {
  const { raw = pool.raw, epoch = pool.epoch, to = host } = of;
  const recipient = { ...(await importRecipient(recipientOf(to.encryption))), epoch };
  return {
    ...(await wrapPoolKey(raw, recipient, { realm: realm.id, pool: pool.name, epoch })),
    pool: pool.name,
  };
}

test('without a record there are no keys', async () => {
  expect(await opens(realm.pool())).toBe('no-recipient');
  keyring.follow(stateNow(), undefined, NOTHING);
  expect([asked, await opens(realm.pool())]).toEqual([[], 'no-recipient']);
});

test('what a record names is fetched, opened, and waited for', async () => {
  const record = follow(await realm.keyring(host));
  expect(await opens(realm.pool())).toBe('opens');
  expect([asked, changes, keyring.problems]).toEqual([[keyringFile(record)], 1, []]);
  expect(keyring.epochs).toEqual([{ pool: 'default', epoch: 1 }]);
});

test('what came with the news is not fetched, and the same is not fetched again', async () => {
  const bytes = await realm.keyring(host);
  follow(bytes, new Map([[keyringFile(recordOf(bytes)), bytes]]));
  expect(await opens(realm.pool())).toBe('opens');
  follow(bytes);
  follow(bytes);
  expect([await opens(realm.pool()), asked, changes]).toEqual(['opens', [], 1]);
});

test('a new epoch comes with the next keyring; the one before stays as long as it is there', async () => {
  follow(await realm.keyring(host));
  const before = realm.pool();
  await realm.epoch();
  expect(await opens(realm.pool())).toBe('no-recipient');
  follow(await realm.keyring(host));
  expect([await opens(realm.pool()), await opens(before), changes]).toEqual(['opens', 'opens', 2]);
  follow(encodeKeyring([await entry(realm.pool())]));
  expect([await opens(realm.pool()), await opens(before)]).toEqual(['opens', 'no-recipient']);
});

test('a key of another pool than the policy allows opens nothing', async () => {
  await realm.epoch('other');
  ({ host } = await realm.join('web-1', ['default', 'other']));
  const { encryptionKey } = host;
  const target = (): Promise<Uint8Array> => realm.keyring(host);
  const bytes = await realm.keyring(host);
  keyring = new Keyring({ realm: realm.id, encryptionKey, transport: { target }, onChange: () => undefined });
  follow(bytes, new Map([[keyringFile(recordOf(bytes)), bytes]]));
  const other = realm.pool('other');
  expect([await opens(other), await opens(other, [OTHER]), await opens(other, [DEFAULT, OTHER])]).toEqual([
    'no-recipient',
    'opens',
    'opens',
  ]);
});

test('a host that is no member any more has no keys, at once, not even those that are on their way', async () => {
  follow(await realm.keyring(host));
  keyring.follow(stateNow(), undefined, NOTHING);
  expect([keyring.epochs, await opens(realm.pool())]).toEqual([[], 'no-recipient']);
  follow(await realm.keyring(host));
  expect(await opens(realm.pool())).toBe('opens');
  keyring.follow(stateNow(), undefined, NOTHING);
  expect(await opens(realm.pool())).toBe('no-recipient');
});

describe('refused, and told', () => {
  const problems = (): unknown => keyring.problems.map(({ code }) => code);

  test.for<[string, () => Promise<Uint8Array>]>([
    [
      'a key that is not the one that fleet names',
      async () => {
        const { raw } = makePool();
        return encodeKeyring([await entry(realm.pool(), { raw })]);
      },
    ],
    [
      'a key of an epoch that fleet does not have',
      async () => encodeKeyring([await entry(realm.pool(), { epoch: 9 })]),
    ],
    [
      'a key of a pool that is not this host’s',
      async () => {
        await realm.epoch('other');
        return encodeKeyring([await entry(realm.pool('other'))]);
      },
    ],
    [
      'a key that is wrapped to another host',
      async () => {
        const { host: to } = await realm.join('web-2');
        return encodeKeyring([await entry(realm.pool(), { to })]);
      },
    ],
  ])('%s; the others open', async ([, make]) => {
    const bytes = await make();
    follow(bytes);
    expect([await opens(realm.pool()), problems()]).toEqual(['no-recipient', ['key-wrap-mismatch']]);
    const { keys } = JSON.parse(Buffer.from(bytes).toString()) as { keys: readonly object[] };
    const good = JSON.parse(Buffer.from(await realm.keyring(host)).toString()) as { keys: readonly object[] };
    const own = good.keys.filter((key) => (key as { pool: string }).pool === 'default');
    follow(Buffer.from(JSON.stringify({ keys: [...keys, ...own] })));
    expect([await opens(realm.pool()), problems()]).toEqual(['opens', ['key-wrap-mismatch']]);
  });

  test('another file than the record names', async () => {
    const record = follow(await realm.keyring(host));
    await opens(realm.pool());
    files.set(keyringFile(record), Buffer.alloc(record.keyring.length));
    keyring = new Keyring({
      realm: realm.id,
      encryptionKey: host.encryptionKey,
      transport: { target: (file) => Promise.resolve(files.get(file)!) },
      onChange: () => undefined,
    });
    keyring.follow(stateNow(), record, NOTHING);
    expect([await opens(realm.pool()), problems()]).toEqual(['no-recipient', ['hash-mismatch']]);
  });

  test('one that cannot be fetched leaves what there is, and is asked for again', async () => {
    follow(await realm.keyring(host));
    expect(await opens(realm.pool())).toBe('opens');
    await realm.epoch();
    const record = recordOf(await realm.keyring(host));
    const bytes = files.get(keyringFile(record))!;
    files.delete(keyringFile(record));
    keyring.follow(stateNow(), record, NOTHING);
    expect([await opens(realm.pool()), problems(), keyring.epochs.length]).toEqual([
      'no-recipient',
      ['service-unreachable'],
      1,
    ]);
    files.set(keyringFile(record), bytes);
    keyring.follow(stateNow(), record, NOTHING);
    expect([await opens(realm.pool()), problems(), changes]).toEqual(['opens', [], 2]);
  });
});
