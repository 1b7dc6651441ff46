// The members of the fleet, their records and their keyrings.
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../../manifest/json.ts';
import { parseHostName, parsePoolName } from '../../../manifest/names.ts';
import type { Fleet } from '../../../manifest/realm/fleet.ts';
import {
  activeHosts,
  encodeKeyring,
  keyringFile,
  parseKeyring,
  readHosts,
  servingHosts,
  withHost,
  withoutHost,
} from '../../../manifest/realm/hosts.ts';
import { publicHalf } from '../../../manifest/realm/pool-key.ts';
import type { SigningKey } from '../../../manifest/realm/recipient.ts';
import { thumbprint } from '../../../manifest/realm/recipient.ts';
import { checkFile, sha256 } from '../../../manifest/tuf/metadata.ts';
import { hostVector } from './host-vector.ts';
import { NOW, POLICY, POOL, codeOf, privateKey, unsignedTargets, utf8 } from './repository.ts';

const EDGE = parsePoolName('edge');
const KEYRING = utf8('{"keys":[]}');

function host(name: string, byte: number, pools = [POOL]) {
  const { x = '' } = privateKey('ed25519', byte).export({ format: 'jwk' });
  const signing: SigningKey = { kty: 'OKP', crv: 'Ed25519', x };
  const encryption = publicHalf(privateKey('x25519', byte));
  return { name: parseHostName(name), signing, encryption, pools, joined: NOW };
}

const WEB = host('web-1', 1);
const DB = host('db.example', 2, [POOL, EDGE]);
const two = withHost(withHost({}, WEB, KEYRING), DB, KEYRING);
const read = (targets: JsonObject) => readHosts(unsignedTargets(targets));

test('the vector: a record and its keyring', () => {
  const [record] = [...read(hostVector.record.targets).values()];
  const keyring = utf8(hostVector.keyring.file);
  expect(record!.kid).toBe(hostVector.record.kid);
  expect(codeOf(() => checkFile(keyring, record!.keyring, 'keyring'))).toBeUndefined();
  expect(keyringFile(record!)).toBe(`fleet-hosts/${sha256(keyring)}.web-1.example`);
});

describe('what is written is read', () => {
  test('records', () => {
    expect([...read(two).values()]).toEqual(
      [WEB, DB].map((each) => ({
        ...each,
        kid: thumbprint(each.signing),
        keyring: { length: KEYRING.length, sha256: sha256(KEYRING) },
      })),
    );
  });

  test('a record that is replaced keeps what a newer writer added, and gets the new keyring', () => {
    const file = two['fleet-hosts/web-1'] as { custom: JsonObject };
    const noted = { ...two, 'fleet-hosts/web-1': { ...file, custom: { ...file.custom, note: 1 } } };
    const next = withHost(noted, { ...WEB, pools: [EDGE] }, utf8('{}'));
    expect(next).toHaveProperty(['fleet-hosts/web-1', 'custom', 'note'], 1);
    expect(read(next).get(WEB.name)).toMatchObject({ pools: [EDGE], keyring: { length: 2 } });
    expect(next['fleet-hosts/db.example']).toEqual(two['fleet-hosts/db.example']);
  });

  test('one that leaves', () => {
    expect([...read(withoutHost(two, WEB.name)).keys()]).toEqual([DB.name]);
  });
});

describe('who speaks, and who serves', () => {
  const removals = [{ host: WEB.name, kid: thumbprint(WEB.signing), at: NOW }];
  const fleet: Fleet = { custodians: [], pools: new Map(), removals };
  const names = (list: readonly { name: string }[]) => list.map(({ name }) => name);

  test('a host that is removed speaks no more, even while it is listed', () => {
    expect(names(activeHosts(read(two), fleet))).toEqual(['db.example']);
    expect(names(activeHosts(read(two), { ...fleet, removals: [] }))).toEqual(['web-1', 'db.example']);
  });

  test('another machine may have its name', () => {
    const again = withHost(two, { ...host('web-1', 3) }, KEYRING);
    expect(names(activeHosts(read(again), fleet))).toEqual(['web-1', 'db.example']);
  });

  test('a namespace is served by the hosts of its pools', () => {
    const policy = { ...POLICY, pools: [EDGE] };
    expect(names(servingHosts(read(two), { ...fleet, removals: [] }, policy))).toEqual(['db.example']);
    expect(names(servingHosts(read(two), fleet, POLICY))).toEqual(['db.example']);
    expect(servingHosts(read(two), fleet, { ...POLICY, pools: [parsePoolName('none')] })).toEqual([]);
  });
});

describe('refused', () => {
  const file = two['fleet-hosts/web-1'] as JsonObject;
  const custom = (change: JsonObject): JsonObject => ({
    'fleet-hosts/web-1': { ...file, custom: { ...(file['custom'] as JsonObject), ...change } },
  });
  const x25519 = two['fleet-hosts/web-1'] as { custom: { signing: JsonObject; encryption: JsonObject } };

  test.for<[string, string, JsonObject]>([
    ['path-outside-role', 'a file of a namespace', { 'payments/a@1': file }],
    ['path-outside-role', 'a file of another directory', { 'fleet/web-1': file }],
    ['name-invalid', 'no name', { 'fleet-hosts/': file }],
    ['name-invalid', 'a path that climbs', { 'fleet-hosts/../web-1': file }],
    [
      'metadata-malformed',
      'no record',
      { 'fleet-hosts/web-1': { length: 1, hashes: { sha256: 'ab'.repeat(32) } } },
    ],
    [
      'fleet-malformed',
      'a keyring that is too long',
      { 'fleet-hosts/web-1': { ...file, length: (256 << 10) + 1 } },
    ],
    [
      'key-unsupported',
      'a key that decrypts in the place of one that signs',
      custom({ signing: x25519.custom.encryption }),
    ],
    [
      'key-unsupported',
      'a key that signs in the place of one that decrypts',
      custom({ encryption: x25519.custom.signing }),
    ],
    ['fleet-malformed', 'no pools', custom({ pools: [] })],
    ['fleet-malformed', 'a pool twice', custom({ pools: ['a', 'a'] })],
    [
      'metadata-malformed',
      'more pools than allowed',
      custom({ pools: Array.from({ length: 17 }, (_, i) => `p${i}`) }),
    ],
    ['name-invalid', 'a pool that is no name', custom({ pools: ['A'] })],
    ['metadata-malformed', 'no time of joining', custom({ joined: null })],
    [
      'metadata-malformed',
      'a keyring that is known by another hash only',
      { 'fleet-hosts/web-1': { ...file, hashes: { sha512: 'ab'.repeat(64) } } },
    ],
    ['fleet-malformed', 'one signing key for two hosts', { ...two, 'fleet-hosts/web-2': file }],
  ])('%s: %s', ([code, , targets]) => {
    expect(codeOf(() => read(targets))).toBe(code);
  });
});

describe('a keyring', () => {
  const entry = { pool: POOL, epoch: 1, kid: 'k', jwe: 'j' };

  test('what is written is read', () => {
    const entries = [entry, { ...entry, pool: EDGE, epoch: 7 }];
    expect(parseKeyring(encodeKeyring(entries))).toEqual(entries);
    expect(parseKeyring(KEYRING)).toEqual([]);
  });

  test.for<[string, JsonObject | unknown[]]>([
    ['metadata-malformed', []],
    ['metadata-malformed', { keys: {} }],
    ['metadata-malformed', { keys: ['k'] }],
    ['metadata-malformed', { keys: [{ ...entry, epoch: 0 }] }],
    ['metadata-malformed', { keys: [{ ...entry, jwe: null }] }],
    ['name-invalid', { keys: [{ ...entry, pool: 'A' }] }],
    ['metadata-malformed', { keys: Array(1025).fill(entry) }],
  ])('%s: %j', ([code, value]) => {
    expect(codeOf(() => parseKeyring(utf8(JSON.stringify(value))))).toBe(code);
  });

  test('larger than allowed', () => {
    expect(codeOf(() => parseKeyring(new Uint8Array((256 << 10) + 1)))).toBe('json-too-large');
  });
});
