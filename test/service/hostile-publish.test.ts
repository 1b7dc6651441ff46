// One test per attack on a publish, each named after it. Every one ends in a stable code, and nothing has moved: the
// timestamp, which every commit rewrites, still has the same bytes.
import { request } from 'node:https';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JsonObject } from '../../manifest/json.ts';
import { EXCHANGE_LIMITS, encodePublish } from '../../manifest/realm/exchange.ts';
import type { Publish } from '../../manifest/realm/exchange.ts';
import { object } from '../../manifest/shape.ts';
import { sha256 } from '../../manifest/tuf/metadata.ts';
import { startPayments } from '../support/realm-service.ts';
import type { Reply, TestClient, TestService } from '../support/realm-service.ts';
import { TestRealm, makeSigner } from '../support/realm.ts';

let service: TestService;
let client: TestClient;
let realm: TestRealm;
let before: Uint8Array;

beforeEach(async () => {
  ({ service, client, realm } = await startPayments());
  // A second version of both roles, so that there is something to roll back to.
  await client.publish(await realm.put('payments', 'api'));
  before = await client.file('metadata/timestamp.json');
});

afterEach(async () => {
  await service[Symbol.asyncDispose]();
});

async function expectRefused(reply: Promise<Reply>, status: number, code: string): Promise<void> {
  expect(await reply).toMatchObject({ status, body: { code } });
  expect(await client.file('metadata/timestamp.json')).toEqual(before);
}

/** The next version of payments, with one target's `custom` edited. */
function withCustom(path: string, edit: (custom: JsonObject) => JsonObject): Publish {
  const targets = realm.targets('payments');
  const target = object(targets[path], path);
  const edited = { ...target, custom: edit(object(target['custom'], path)) };
  return realm.draft('payments', { targets: { ...targets, [path]: edited } });
}

function one(name: string, metadata: Uint8Array): Publish {
  return { roles: [{ name, metadata }], files: [] };
}

/** Of the first role. */
function metadataOf({ roles }: Publish): Uint8Array {
  return roles[0]!.metadata;
}

/** The body of a good publish, with its metadata replaced by this text. */
function withMetadata(metadata: string): string {
  return JSON.stringify(encodePublish(one('payments', Buffer.from(metadata))));
}

const goodMetadata = (): string => Buffer.from(metadataOf(realm.draft('payments', {}))).toString();

test('the draft that the attacks alter is a good one', async () => {
  expect(await client.publish(realm.draft('payments', {}))).toMatchObject({ status: 200 });
});

test('wrong signature', async () => {
  const forged = realm.draft('payments', {}, { signer: makeSigner() });
  await expectRefused(client.publish(forged), 403, 'signature-threshold');
});

test('altered after signing', async () => {
  const altered = goodMetadata().replace('"spec_version":"1.0', '"spec_version":"1.1');
  expect(altered).not.toBe(goodMetadata());
  await expectRefused(client.post('publish', withMetadata(altered)), 403, 'signature-threshold');
});

test('a namespace signed by the key of another', async () => {
  await client.publish(realm.delegate('billing'));
  before = await client.file('metadata/timestamp.json');
  const metadata = metadataOf(realm.draft('billing', { version: 3 }));
  await expectRefused(client.publish(one('payments', metadata)), 403, 'signature-threshold');
});

test('unknown role', async () => {
  const metadata = metadataOf(realm.draft('payments', {}));
  await expectRefused(client.publish(one('ghost', metadata)), 404, 'role-unknown');
});

test.each(['root', 'snapshot', 'timestamp'])('role %s, which is not published', async (role) => {
  const metadata = metadataOf(realm.draft('payments', {}));
  await expectRefused(client.publish(one(role, metadata)), 422, 'role-not-publishable');
});

test.each(['../payments', '__proto__', 'constructor', ''])('role %j', async (role) => {
  const metadata = metadataOf(realm.draft('payments', {}));
  await expectRefused(client.publish(one(role, metadata)), 404, 'role-unknown');
});

test('rollback to an older version', async () => {
  const first = await client.file('metadata/1.payments.json');
  await expectRefused(client.publish(one('payments', first)), 409, 'conflict');
});

test('same version again', async () => {
  const metadata = realm.role('payments').bytes;
  await expectRefused(client.publish(one('payments', metadata)), 409, 'conflict');
});

test('same version with other bytes', async () => {
  await expectRefused(client.publish(realm.draft('payments', { version: 2, note: '' })), 409, 'conflict');
});

test('a version left out', async () => {
  await expectRefused(client.publish(realm.draft('payments', { version: 4 })), 422, 'version-mismatch');
});

test('expired role', async () => {
  const expired = realm.draft('payments', { expires: '2020-01-31T00:00:00Z' });
  await expectRefused(client.publish(expired), 422, 'metadata-expired');
});

test('oversized body', async () => {
  await expectRefused(client.post('publish', Buffer.alloc(EXCHANGE_LIMITS.body + 1)), 413, 'body-too-large');
});

test('oversized body that does not say its length', async () => {
  const attack = request(`${client.url}/v1/publish`, {
    method: 'POST',
    rejectUnauthorized: false,
    headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' },
  });
  // The service answers and closes while this still writes.
  attack.on('error', () => undefined);
  const answered = once(attack, 'response') as Promise<[IncomingMessage]>;
  for (let sent = 0; sent <= EXCHANGE_LIMITS.body; sent += 1 << 20) attack.write(Buffer.alloc(1 << 20, ' '));
  const [response] = await answered;
  expect([response.statusCode, await text(response)]).toMatchObject([
    413,
    expect.stringContaining('body-too-large'),
  ]);
  attack.destroy();
  expect(await client.file('metadata/timestamp.json')).toEqual(before);
});

test('truncated JSON', async () => {
  const body = JSON.stringify(encodePublish(realm.draft('payments', {})));
  await expectRefused(client.post('publish', body.slice(0, -10)), 400, 'json-invalid');
});

test('truncated JSON within the metadata', async () => {
  await expectRefused(
    client.post('publish', withMetadata(goodMetadata().slice(0, -10))),
    400,
    'json-invalid',
  );
});

test('wrong envelope hash', async () => {
  const publish = await realm.put('payments', 'db');
  const altered = Buffer.from(publish.files[0]!);
  altered[30]! ^= 1;
  await expectRefused(client.publish({ ...publish, files: [altered] }), 422, 'file-missing');
});

test('wrong envelope length', async () => {
  const publish = await realm.put('payments', 'new');
  const targets = object(realm.role('payments').raw['targets'], 'targets');
  const path = 'payments/new@1';
  const lying = { ...targets, [path]: { ...object(targets[path], path), length: 297 } };
  const draft = realm.draft('payments', { version: 3, targets: lying }, { files: publish.files });
  await expectRefused(client.publish(draft), 422, 'length-mismatch');
});

test('missing envelope', async () => {
  const publish = await realm.put('payments', 'db');
  await expectRefused(client.publish({ ...publish, files: [] }), 422, 'file-missing');
});

test('surplus envelope', async () => {
  const publish = await realm.put('payments', 'db');
  const files = [...publish.files, Buffer.from('a place to keep things')];
  await expectRefused(client.publish({ ...publish, files }), 422, 'file-unlisted');
});

test('surplus envelope beside targets', async () => {
  const publish = realm.draft('targets', {}, { files: [Buffer.from('a place to keep things')] });
  await expectRefused(client.publish(publish), 422, 'file-unlisted');
});

test('more files than a publish may carry', async () => {
  const files = Array.from({ length: EXCHANGE_LIMITS.filesPerPublish + 1 }, (_, i) => Buffer.from([i]));
  await expectRefused(client.publish(realm.draft('payments', {}, { files })), 400, 'metadata-malformed');
});

test.each([
  ['another namespace', 'billing/db@1', 'path-outside-role'],
  ['no version', 'payments/db', 'path-outside-role'],
  ['a way out', 'payments/../billing@1', 'name-invalid'],
])('target outside the namespace: %s', async (_what, path, code) => {
  const [good] = Object.values(realm.targets('payments'));
  const targets = { ...realm.targets('payments'), [path]: good! };
  await expectRefused(client.publish(realm.draft('payments', { targets })), 422, code);
});

test('a file listed by the top-level targets, before any namespace is asked', async () => {
  const targets = realm.targets('payments');
  await expectRefused(client.publish(realm.draft('targets', { targets })), 422, 'path-outside-role');
});

test('__proto__ key', async () => {
  const body = `{"__proto__":{"roles":[]},${withMetadata(goodMetadata()).slice(1)}`;
  await expectRefused(client.post('publish', body), 400, 'json-forbidden-key');
});

test('__proto__ key within the metadata', async () => {
  const metadata = goodMetadata().replace('"targets":{', '"targets":{"__proto__":{},');
  await expectRefused(client.post('publish', withMetadata(metadata)), 400, 'json-forbidden-key');
});

test('deep JSON', async () => {
  const body = `{"roles":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  await expectRefused(client.post('publish', body), 400, 'json-too-deep');
});

test('many values', async () => {
  await expectRefused(client.post('publish', `[${'0,'.repeat(1_000_001)}0]`), 400, 'json-too-many-values');
});

test('duplicate key', async () => {
  const body = withMetadata(goodMetadata()).replace('{', '{"roles":[],');
  await expectRefused(client.post('publish', body), 400, 'json-duplicate-key');
});

test('duplicate key within the metadata', async () => {
  const metadata = goodMetadata().replace('"version":3', '"version":1,"version":3');
  expect(metadata).not.toBe(goodMetadata());
  await expectRefused(client.post('publish', withMetadata(metadata)), 400, 'json-duplicate-key');
});

test('floor that sinks', async () => {
  const live = realm.targets('payments')['payments/db@1'];
  await client.publish(realm.revoke('payments', 'db', 1));
  before = await client.file('metadata/timestamp.json');
  const targets = { ...realm.targets('payments'), 'payments/db@1': live! };
  await expectRefused(client.publish(realm.draft('payments', { targets })), 422, 'floor-sank');
});

test('single revocation that is forgotten', async () => {
  await client.publish(await realm.put('payments', 'db'));
  await client.publish(
    realm.adopt(withCustom('payments/db@2', ({ keys: _, ...rest }) => ({ ...rest, revoked: [2] }))),
  );
  before = await client.file('metadata/timestamp.json');
  const publish = withCustom('payments/db@2', (custom) => ({
    ...custom,
    revoked: [],
    keys: object(object(realm.targets('payments')['payments/api@1'], '')['custom'], '')['keys']!,
  }));
  await expectRefused(client.publish(publish), 422, 'floor-sank');
});

test('secret that vanishes', async () => {
  const { 'payments/db@1': _, ...targets } = realm.targets('payments');
  await expectRefused(client.publish(realm.draft('payments', { targets })), 422, 'secret-vanished');
});

test.each([['payments', 'payments-revoker'], ['payments-revoker']])(
  'delegation that vanishes: %s',
  async (...names) => {
    const old = object(realm.role('targets').raw['delegations'], 'delegations');
    const roles = (old['roles'] as readonly JsonObject[]).filter(
      ({ name }) => !names.includes(name as string),
    );
    const gone = realm.draft('targets', { delegations: { ...old, roles } });
    await expectRefused(client.publish(gone), 422, 'role-vanished');
  },
);

test('delegation of paths that are not its own', async () => {
  const old = object(realm.role('targets').raw['delegations'], 'delegations');
  const roles = old['roles'] as readonly JsonObject[];
  const greedy = {
    ...old,
    roles: roles.map((role) => (role['name'] === 'payments' ? { ...role, paths: ['*/*'] } : role)),
  };
  await expectRefused(
    client.publish(realm.draft('targets', { delegations: greedy })),
    422,
    'path-outside-role',
  );
});

test('delegation to a reserved name', async () => {
  const old = object(realm.role('targets').raw['delegations'], 'delegations');
  const roles = old['roles'] as readonly JsonObject[];
  const reserved = { ...roles[1], name: 'snapshot', paths: ['snapshot/*'] };
  const delegations = { ...old, roles: [...roles, reserved] };
  await expectRefused(client.publish(realm.draft('targets', { delegations })), 422, 'name-invalid');
});

test('version reuse with other bytes', async () => {
  const targets = realm.targets('payments');
  const path = 'payments/db@1';
  const envelope = Buffer.alloc(296, 7);
  const hashes = { sha256: sha256(envelope) };
  const reused = { ...targets, [path]: { ...object(targets[path], path), length: 296, hashes } };
  const publish = realm.draft('payments', { targets: reused }, { files: [envelope] });
  await expectRefused(client.publish(publish), 422, 'version-reused');
});

test('second realm creation', async () => {
  await expectRefused(client.create(realm.genesis), 409, 'realm-exists');
  const other = await TestRealm.make(await client.onlineKeys());
  await expectRefused(client.create(other.genesis), 409, 'realm-exists');
});

test('a realm whose root names other online keys', async () => {
  const keys = { snapshot: makeSigner().publicHex, timestamp: makeSigner().publicHex };
  const { genesis } = await TestRealm.make(keys);
  await expectRefused(client.create(genesis), 422, 'online-keys-mismatch');
});

test('a namespace whose first version is not 1', async () => {
  await client.publish(realm.delegate('billing'));
  before = await client.file('metadata/timestamp.json');
  await expectRefused(client.publish(realm.draft('billing', { version: 2 })), 422, 'version-mismatch');
});
