// Changes that wait for signatures of others: `payments` is signed by two of Ann, Bob and Cem. What comes below the threshold
// is kept and never takes effect, what is hostile is refused with its code, and nothing that waits stands in a publish's way.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { canonicalJson } from '../../manifest/canonical-json.ts';
import type { JsonObject } from '../../manifest/json.ts';
import { parseNamespace } from '../../manifest/names.ts';
import { EXCHANGE_LIMITS, encodePublish } from '../../manifest/realm/exchange.ts';
import type { Publish } from '../../manifest/realm/exchange.ts';
import { PENDING_LIMITS, encodeSignatures, parsePendingChange } from '../../manifest/realm/pending.ts';
import { namespaceTerms, redelegateNamespace } from '../../manifest/realm/realm.ts';
import { object } from '../../manifest/shape.ts';
import { sha256, signMetadata } from '../../manifest/tuf/metadata.ts';
import { parseTargets } from '../../manifest/tuf/targets.ts';
import { Inbox } from '../../service/store/inbox.ts';
import { startPayments } from '../support/realm-service.ts';
import type { Reply, TestClient, TestService } from '../support/realm-service.ts';
import { makeSigner, merged } from '../support/realm.ts';
import type { TestRealm, TestSigner } from '../support/realm.ts';

const NAMESPACE = parseNamespace('payments');

let service: TestService;
let client: TestClient;
let realm: TestRealm;
let bob: TestSigner;
let cem: TestSigner;

beforeEach(async () => {
  ({ service, client, realm } = await startPayments());
  [bob, cem] = [makeSigner(), makeSigner()];
  await delegate([realm.signer('payments'), bob, cem], 2);
});

afterEach(() => service[Symbol.asyncDispose]());

async function delegate(signers: readonly TestSigner[], threshold: number): Promise<void> {
  const targets = realm.role('targets');
  const terms = { ...namespaceTerms(targets, NAMESPACE), threshold };
  const keys = signers.map(({ publicHex }) => publicHex);
  const change = redelegateNamespace(targets, NAMESPACE, { ...terms, signers: keys });
  const reply = await client.publish(realm.adopt(realm.draft('targets', change)));
  expect(reply.status).toBe(200);
}

function propose(publish: Publish): Promise<Reply> {
  return client.post('pending', JSON.stringify(encodePublish(publish)));
}

/** A change that Ann alone signed, and its id; the realm's author does not take it for published. */
async function waiting(note = randomBytes(4).toString('hex')): Promise<{ publish: Publish; id: string }> {
  const publish = realm.draft('payments', { note });
  const { status, body } = await propose(publish);
  expect(status).toBe(202);
  return { publish, id: body['id'] as string };
}

function sign(id: string, publish: Publish, ...signers: readonly TestSigner[]): Promise<Reply> {
  const [{ name, metadata }] = publish.roles as [Publish['roles'][0]];
  const { canonical } = parseTargets(metadata).file;
  const signatures = signers.map((signer) => ({ keyid: signer.keyid, sig: signer.sign(canonical) }));
  return client.post(
    `pending/${id}/signatures`,
    JSON.stringify(encodeSignatures({ role: name, signatures })),
  );
}

async function listed(): Promise<readonly JsonObject[]> {
  const body = (await (await client.get('pending')).json()) as { pending: readonly JsonObject[] };
  return body.pending;
}

/** Bytes of the newest timestamp, which every commit rewrites. */
function timestamp(): Promise<Uint8Array> {
  return client.file('metadata/timestamp.json');
}

async function expectUnmoved<T>(work: () => Promise<T>): Promise<T> {
  const before = await timestamp();
  const result = await work();
  expect(await timestamp()).toEqual(before);
  return result;
}

async function expectRefused(reply: Promise<Reply>, status: number, code: string): Promise<void> {
  const before = await listed();
  expect(await expectUnmoved(() => reply)).toMatchObject({ status, body: { code } });
  expect(await listed()).toEqual(before);
}

test('waits for the second signer, is published with it, and is gone', async () => {
  const publish = await realm.put('payments', 'api');
  const signed = object(realm.role('payments').raw, 'payments');
  expect(await client.publish(publish)).toMatchObject({ status: 403, body: { code: 'signature-threshold' } });
  const { body } = await expectUnmoved(() => propose(publish));
  const id = body['id'] as string;
  expect(id).toBe(sha256(canonicalJson({ payments: signed })));
  const ann = realm.signer('payments').keyid;
  const role = { name: 'payments', version: 2, threshold: 2, signed: [ann], missing: 1 };
  expect(await listed()).toEqual([{ id, at: service.clock.now(), roles: [role] }]);

  const change = parsePendingChange(await client.file(`pending/${id}`));
  expect(parseTargets(change.roles[0]!.metadata).file.raw).toEqual(signed);
  expect(await sign(id, publish, bob)).toMatchObject({
    status: 200,
    body: { id, published: { roles: { payments: 2 } } },
  });
  const set = await client.verify(realm.genesis.root, service.clock.now(), ['payments']);
  expect([...set.targets.get('payments')!.role.targets.keys()]).toContain('payments/api@1');
  expect(await listed()).toEqual([]);
  expect(await sign(id, publish, bob)).toMatchObject({ status: 404, body: { code: 'not-found' } });
});

test('the same change twice is one, and its signatures add up', async () => {
  const { publish, id } = await waiting('a');
  const again = await propose(publish);
  expect([again.status, again.body['id'], (await listed()).length]).toEqual([202, id, 1]);
  const other = realm.draft('payments', { note: 'a' }, { signer: cem });
  expect(await propose(other)).toMatchObject({
    status: 200,
    body: { id, published: { roles: { payments: 2 } } },
  });
});

test('the same signature twice counts once', async () => {
  await delegate([realm.signer('payments'), bob, cem], 3);
  const { publish, id } = await waiting();
  for (let i = 0; i < 2; i++) {
    const { status, body } = await sign(id, publish, bob, bob);
    expect([status, object(body['waiting'], '')['roles']]).toMatchObject([202, [{ missing: 1 }]]);
  }
});

test('what waits outlives a restart', async () => {
  const { publish, id } = await waiting();
  service = await service.restart();
  client = service.client;
  expect((await listed()).map((each) => each['id'])).toEqual([id]);
  expect(await sign(id, publish, cem)).toMatchObject({ status: 200 });
});

test('several roles wait until each of them is complete', async () => {
  await delegate([realm.signer('payments')], 1);
  const terms = namespaceTerms(realm.role('targets'), NAMESPACE);
  const signers = [realm.signer('payments'), bob].map(({ publicHex }) => publicHex);
  const change = redelegateNamespace(realm.role('targets'), NAMESPACE, { ...terms, signers, threshold: 2 });
  const publish = merged(realm.draft('targets', change), realm.draft('payments', {}));
  const { body } = await propose(publish);
  const roles = object(body['waiting'], '')['roles'];
  expect(roles).toMatchObject([
    { name: 'targets', missing: 0 },
    { name: 'payments', threshold: 2, missing: 1 },
  ]);
  const second = { roles: publish.roles.slice(1), files: [] };
  expect(await sign(body['id'] as string, second, bob)).toMatchObject({
    body: { published: { roles: { targets: 5, payments: 2 } } },
  });
});

test('two changes of one version: one is made, the other is superseded', async () => {
  const [first, second] = [await waiting('a'), await waiting('b')];
  expect((await listed()).map(({ id }) => id)).toEqual([first.id, second.id]);
  expect(await sign(second.id, second.publish, bob)).toMatchObject({ status: 200 });
  await expectUnmoved(async () =>
    expect(await sign(first.id, first.publish, bob)).toMatchObject({
      status: 409,
      body: { code: 'pending-superseded' },
    }),
  );
  expect(await listed()).toEqual([]);
});

test('nothing that waits holds up a revoker, and what it took back does not come back', async () => {
  const { publish, id } = await waiting();
  expect(await client.publish(realm.takeBack('payments', 'db', 1))).toMatchObject({ status: 200 });
  expect(await sign(id, publish, bob)).toMatchObject({ status: 409, body: { code: 'pending-superseded' } });
});

test('nothing that waits holds up a publish by enough signers', async () => {
  const { id } = await waiting();
  const [{ metadata }] = realm.revoke('payments', 'db', 1).roles as [Publish['roles'][0]];
  const both = signMetadata(parseTargets(metadata).file.raw, [realm.signer('payments'), bob]);
  expect(await client.publish({ roles: [{ name: 'payments', metadata: both }], files: [] })).toMatchObject({
    status: 200,
  });
  expect(await listed()).toEqual([]);
  expect(await client.get(`pending/${id}`)).toMatchObject({ status: 404 });
});

test('one that is encrypted to an epoch which has passed is superseded', async () => {
  const publish = await realm.put('payments', 'api');
  const { body } = await propose(publish);
  await client.publish(await realm.epoch());
  expect(await sign(body['id'] as string, publish, bob)).toMatchObject({
    status: 409,
    body: { code: 'pending-superseded' },
  });
});

test('a signer who has left counts no more', async () => {
  const { publish, id } = await waiting();
  await delegate([bob, cem, makeSigner()], 2);
  expect(await sign(id, publish, bob)).toMatchObject({ status: 409, body: { code: 'pending-superseded' } });
});

test('after 7 days it is over', async () => {
  const { publish, id } = await waiting();
  service.clock.advance(PENDING_LIMITS.keptMs - 1);
  expect((await listed()).length).toBe(1);
  service.clock.advance(1);
  expect(await sign(id, publish, bob)).toMatchObject({ status: 404 });
  expect(await listed()).toEqual([]);
});

test('of one role 8 wait, and the oldest makes room', async () => {
  const ids: string[] = [];
  for (let i = 0; i <= PENDING_LIMITS.mostOfRole; i++) ids.push((await waiting(`${i}`)).id);
  expect((await listed()).map(({ id }) => id)).toEqual(ids.slice(1));
});

test('the room is bounded: in all, and for one role by count and bytes', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lapse-pending-'));
  const inbox = new Inbox(join(directory, 'inbox.sqlite'));
  const put = (id: string, role: string, bytes = 1): Promise<boolean> =>
    inbox.putPending(
      { id, role, at: Number(id), summary: id, body: new Uint8Array(bytes) },
      { most: 3, mostOfRole: 2, bytesOfRole: 100 },
    );
  for (const id of ['1', '2', '3']) expect(await put(id, 'payments')).toBe(true);
  expect(await inbox.pending()).toEqual(['2', '3']);
  expect(await put('4', 'payments', 100)).toBe(true);
  expect(await inbox.pending()).toEqual(['4']);
  expect([await put('5', 'billing'), await put('6', 'fleet'), await put('7', 'targets')]).toEqual([
    true,
    true,
    false,
  ]);
  // What is there already may still be signed.
  expect(await put('4', 'payments', 101)).toBe(true);
  expect(await inbox.pending()).toEqual(['4', '5', '6']);
  await inbox.close();
  rmSync(directory, { recursive: true });
});

test('foreign signatures', async () => {
  const { publish, id } = await waiting();
  const stranger = makeSigner();
  await expectRefused(sign(id, publish, stranger), 403, 'signature-refused');
  // One that is good does not carry one that is not.
  await expectRefused(sign(id, publish, bob, stranger), 403, 'signature-refused');
  const forged = { keyid: bob.keyid, sign: (bytes: Uint8Array) => stranger.sign(bytes), publicHex: '' };
  await expectRefused(sign(id, publish, forged), 403, 'signature-refused');
  await expectRefused(
    propose(realm.draft('payments', { note: 'x' }, { signer: stranger })),
    403,
    'signature-threshold',
  );
});

test('a signature of another change, and of a role that is not in it', async () => {
  const [one, other] = [await waiting('a'), await waiting('b')];
  await expectRefused(sign(one.id, other.publish, bob), 403, 'signature-refused');
  const elsewhere = { roles: [{ ...one.publish.roles[0]!, name: 'fleet' }], files: [] };
  await expectRefused(sign(one.id, elsewhere, bob), 403, 'signature-refused');
});

test.for<[string, string | Uint8Array, number, string]>([
  ['no JSON', 'garbage', 400, 'json-invalid'],
  ['no signatures', '{"role":"payments","signatures":[]}', 400, 'metadata-malformed'],
  [
    'no hexadecimal',
    '{"role":"payments","signatures":[{"keyid":"a","sig":"zz"}]}',
    400,
    'metadata-malformed',
  ],
  ['a role twice', '{"role":"payments","role":"fleet","signatures":[]}', 400, 'json-duplicate-key'],
  ['too large', Buffer.alloc(EXCHANGE_LIMITS.small + 1, ' '), 413, 'body-too-large'],
])('signatures: %s', async ([, body, status, code]) => {
  const { id } = await waiting();
  await expectRefused(client.post(`pending/${id}/signatures`, body), status, code);
});

test.each(['x', '0'.repeat(64), '__proto__'])('signatures for %s, which does not wait', async (id) => {
  const { publish } = await waiting();
  await expectRefused(sign(id, publish, bob), 404, 'not-found');
});

test.for<[string, () => Promise<string | Uint8Array> | string | Uint8Array, number, string]>([
  ['no JSON', () => 'garbage', 400, 'json-invalid'],
  ['too large', () => Buffer.alloc(EXCHANGE_LIMITS.body + 1), 413, 'body-too-large'],
  ['role root', () => bodyFor('root', realm.draft('payments', {})), 422, 'role-not-publishable'],
  ['a role that nobody delegates', () => bodyFor('ghost', realm.draft('payments', {})), 404, 'role-unknown'],
  ['a version that was published', () => body(realm.draft('payments', { version: 1 })), 409, 'conflict'],
  ['a version left out', () => body(realm.draft('payments', { version: 3 })), 422, 'version-mismatch'],
  [
    'expired',
    () => body(realm.draft('payments', { expires: '2020-01-31T00:00:00Z' })),
    422,
    'metadata-expired',
  ],
  ['a secret that vanishes', () => body(realm.draft('payments', { targets: {} })), 422, 'secret-vanished'],
  ['no file', async () => body({ ...(await realm.put('payments', 'api')), files: [] }), 422, 'file-missing'],
  [
    'a file that nobody lists',
    () => body({ ...realm.draft('payments', {}), files: [Buffer.from('x')] }),
    422,
    'file-unlisted',
  ],
  ['a threshold of 0', () => body(realm.draft('targets', withThreshold(0))), 400, 'metadata-malformed'],
])('a change: %s', async ([, make, status, code]) => {
  await waiting();
  await expectRefused(client.post('pending', await make()), status, code);
});

test('one key under two ids is one signer', async () => {
  const ann = realm.signer('payments');
  const { metadata } = realm.draft('payments', {}).roles[0]!;
  const { raw, canonical } = parseTargets(metadata).file;
  const sig = Buffer.from(ann.sign(canonical)).toString('hex');
  const signatures = [ann.keyid, 'f'.repeat(64)].map((keyid) => ({ keyid, sig }));
  const twice = Buffer.from(JSON.stringify({ signed: raw, signatures }));
  const reply = await propose({ roles: [{ name: 'payments', metadata: twice }], files: [] });
  expect(object(reply.body['waiting'], '')['roles']).toMatchObject([{ signed: [ann.keyid], missing: 1 }]);
});

function body(publish: Publish): string {
  return JSON.stringify(encodePublish(publish));
}

function bodyFor(name: string, { roles, files }: Publish): string {
  return body({ roles: roles.map(({ metadata }) => ({ name, metadata })), files });
}

function withThreshold(threshold: number): JsonObject {
  const delegations = object(realm.role('targets').raw['delegations'], 'delegations');
  const roles = (delegations['roles'] as readonly JsonObject[]).map((role) => ({ ...role, threshold }));
  return { delegations: { ...delegations, roles } };
}
