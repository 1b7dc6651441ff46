// Who may ask for what: each route that is for hosts, with each token that is not one. After every refusal the right token
// still works.
import { randomBytes, sign } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '../../manifest/json.ts';
import { parseRealmId } from '../../manifest/names.ts';
import { keyringFile, readHosts } from '../../manifest/realm/hosts.ts';
import { signHostToken } from '../../manifest/realm/host-token.ts';
import { Authentication } from '../../service/authentication.ts';
import type { MemberList } from '../../service/members.ts';
import { startPayments } from '../support/realm-service.ts';
import type { Payments } from '../support/realm-service.ts';
import { makeHost } from '../support/realm.ts';
import type { TestHost } from '../support/realm.ts';

const SECOND = 1000;

let payments: Payments;

beforeEach(async () => {
  payments = await startPayments();
});

afterEach(async () => {
  await payments.service[Symbol.asyncDispose]();
});

const now = (): number => payments.service.clock.now();
const bearer = (token: string): Readonly<Record<string, string>> => ({ authorization: `Bearer ${token}` });
const base64url = (value: JsonObject): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token with any header and claims, signed by any host. */
function forge(host: TestHost, header: JsonObject, claims: JsonObject): string {
  const issued = Math.floor(now() / SECOND);
  const text = [
    base64url({ alg: 'EdDSA', kid: host.kid, typ: 'lapse-host+jwt', ...header }),
    base64url({
      iss: host.name,
      aud: `lapse:${payments.realm.id}`,
      iat: issued,
      exp: issued + 60,
      jti: randomBytes(16).toString('base64url'),
      ...claims,
    }),
  ].join('.');
  return `${text}.${sign(null, Buffer.from(text), host.signingKey).toString('base64url')}`;
}

/** What each route says to these headers. */
async function ask(
  headers: Readonly<Record<string, string>>,
): Promise<readonly (readonly [number, unknown])[]> {
  const { client, realm } = payments;
  const live = realm.secret('payments', 'db')!.newest!;
  const answers = [
    await client.get('events', headers),
    await client.get(`targets/payments/${live.sha256}.db@1`, headers),
    await client.post('receipts', '{"receipts":[]}', headers),
  ];
  return Promise.all(
    answers.map(async (answer) => {
      const body = answer instanceof Response ? await answer.json() : answer.body;
      return [answer.status, (body as JsonObject)['code']] as const;
    }),
  );
}

async function expectRefused(headers: Readonly<Record<string, string>>, code: string): Promise<void> {
  expect(await ask(headers)).toEqual(Array.from({ length: 3 }, () => [401, code]));
}

describe('refused on every route', () => {
  test('no token', async () => {
    await expectRefused({}, 'token-missing');
    await expectRefused({ authorization: 'Basic d2ViLTE6' }, 'token-missing');
    await expectRefused({ authorization: 'Bearer' }, 'token-missing');
  });

  test('no JWT, one of another type, one without a signature', async () => {
    const { host } = payments;
    await expectRefused(bearer('e30.e30.e30'), 'host-unknown');
    await expectRefused(bearer('nonsense'), 'token-malformed');
    await expectRefused(bearer('a'.repeat(5000)), 'token-malformed');
    await expectRefused(bearer(forge(host, { typ: 'JWT' }, {})), 'token-malformed');
    await expectRefused(bearer(forge(host, { alg: 'none' }, {})), 'token-malformed');
    const [header, claims] = forge(host, {}, {}).split('.');
    await expectRefused(bearer(`${header!}.${claims!}.`), 'token-malformed');
  });

  test('signed by another host, or by a stranger', async () => {
    const { client, realm, host } = payments;
    const { host: second, publish } = await realm.join('web-2');
    await client.publish(publish);
    await expectRefused(bearer(forge(second, { kid: host.kid }, { iss: host.name })), 'token-malformed');
    await expectRefused(bearer(forge(second, {}, { iss: host.name })), 'token-malformed');
    await expectRefused(bearer(await makeHost(realm.id, 'web-1').token(now())), 'host-unknown');
  });

  test('for another realm', async () => {
    const realm = parseRealmId('0'.repeat(64));
    const { host } = payments;
    const terms = { host: host.name, kid: host.kid, realm, jti: randomBytes(16).toString('base64url') };
    await expectRefused(bearer(await signHostToken(terms, host.signingKey, now())), 'token-malformed');
    await expectRefused(bearer(forge(host, {}, { aud: ['lapse:other'] })), 'token-malformed');
  });

  test('expired', async () => {
    await expectRefused(bearer(await payments.host.token(now() - 91 * SECOND)), 'token-expired');
  });

  test('from the future', async () => {
    await expectRefused(bearer(await payments.host.token(now() + 32 * SECOND)), 'token-early');
  });

  test('one that would live for longer than a minute, or for ever', async () => {
    const exp = Math.floor(now() / SECOND) + 3600;
    await expectRefused(bearer(forge(payments.host, {}, { exp })), 'token-malformed');
    const [header, , signature] = forge(payments.host, {}, {}).split('.');
    await expectRefused(bearer(`${header!}.${base64url({ iss: 'web-1' })}.${signature!}`), 'token-malformed');
  });

  test('without a jti, or with one that is no random number', async () => {
    await expectRefused(bearer(forge(payments.host, {}, { jti: 'x' })), 'token-malformed');
  });

  test('replayed, to the same route and to another', async () => {
    const { client, host } = payments;
    const token = await host.token(now());
    expect((await client.post('receipts', '{"receipts":[]}', bearer(token))).status).toBe(202);
    await expectRefused(bearer(token), 'token-replayed');
    // To the last moment at which it would pass.
    payments.service.clock.advance(89 * SECOND);
    await expectRefused(bearer(token), 'token-replayed');
    payments.service.clock.advance(2 * SECOND);
    await expectRefused(bearer(token), 'token-expired');
  });

  test('replayed after a restart, which forgets what was used', async () => {
    const { host, service } = payments;
    const token = await host.token(now());
    expect((await payments.client.post('receipts', '{"receipts":[]}', bearer(token))).status).toBe(202);
    const restarted = await service.restart();
    payments = { ...payments, service: restarted, client: restarted.client.as(host) };
    await expectRefused(bearer(token), 'token-expired');
    expect((await payments.client.post('receipts', '{"receipts":[]}')).status).toBe(202);
  });

  test('of a host that was removed', async () => {
    const { client, realm, host } = payments;
    const early = await host.token(now());
    await client.publish(await realm.remove('web-1'));
    await expectRefused(bearer(early), 'host-removed');
    await expectRefused(bearer(await host.token(now())), 'host-removed');
    // Another machine of that name is another host.
    const { host: heir, publish } = await realm.join('web-1');
    expect(await client.publish(publish)).toMatchObject({ status: 200 });
    expect((await client.post('receipts', '{"receipts":[]}', bearer(await heir.token(now())))).status).toBe(
      202,
    );
  });
});

test('a token whose clock is a little off, either way, passes', async () => {
  for (const off of [-85, -30, 0, 29]) {
    const token = await payments.host.token(now() + off * SECOND);
    expect((await payments.client.post('receipts', '{"receipts":[]}', bearer(token))).status).toBe(202);
  }
});

test('of a hundred uses at once of one token one passes', async () => {
  const { client, host } = payments;
  const token = await host.token(now());
  const replies = await Promise.all(
    Array.from({ length: 100 }, () => client.post('receipts', '{"receipts":[]}', bearer(token))),
  );
  expect(replies.filter(({ status }) => status === 202)).toHaveLength(1);
});

test('a keyring goes to the host that it belongs to, and to no other', async () => {
  const { client, realm, host } = payments;
  const { host: second, publish } = await realm.join('web-2');
  await client.publish(publish);
  const records = readHosts(realm.role('fleet-hosts').role);
  const path = (name: string): string => `targets/${keyringFile(records.get(name as never)!)}`;
  expect(await client.file(path('web-1'))).toEqual(new Uint8Array(publish.files[0]!));
  expect((await client.get(path('web-2'))).status).toBe(404);
  expect((await client.as(second).get(path('web-2'))).status).toBe(200);
  expect((await client.as(second).get(path('web-1'))).status).toBe(404);
  expect((await client.as(undefined).get(path('web-1'))).status).toBe(401);
  for (const way of [
    `targets/payments%2F..%2F${keyringFile(records.get('web-2' as never)!)}`,
    `${path('web-2')}%00`,
  ])
    expect((await client.as(host).get(way)).status).toBe(404);
});

test('what anybody may ask for needs no token', async () => {
  const client = payments.client.as(undefined);
  for (const path of [
    'metadata/timestamp.json',
    'metadata/1.root.json',
    'online-keys',
    'receipts',
    'joins',
    'health',
  ])
    expect((await client.get(path)).status).toBe(200);
});

/** The authentication alone, over the realm's hosts; `sweep` is its timer. */
function makeAuthentication(since: number, limits = { perHost: 2, all: 3 }) {
  let sweep = (): void => undefined;
  const clock = {
    ...payments.service.clock,
    every: (_ms: number, tick: () => void) => {
      sweep = tick;
      return { [Symbol.dispose]: () => undefined };
    },
  };
  const { realm } = payments;
  const records = [...readHosts(realm.role('fleet-hosts').role).values()];
  const find = (kid: string) => records.find((each) => each.kid === kid);
  const members = { read: () => Promise.resolve({ realm: realm.id, byKid: new Map(), find }) };
  const authentication = new Authentication(members as unknown as MemberList, clock, since, limits);
  const use = async (who: TestHost): Promise<unknown> =>
    authentication.host(`Bearer ${await who.token(now())}`).then(
      () => 'accepted',
      (error: unknown) => (error as { code: string }).code,
    );
  return { use, sweep: () => sweep() };
}

test('used tokens are remembered within bounds, and forgotten when they expire', async () => {
  const { host, realm } = payments;
  const { host: second } = await realm.join('web-2');
  const { use, sweep } = makeAuthentication(0);
  expect([await use(host), await use(host), await use(host)]).toEqual([
    'accepted',
    'accepted',
    'tokens-exhausted',
  ]);
  expect([await use(second), await use(second)]).toEqual(['accepted', 'tokens-exhausted']);
  payments.service.clock.advance(91 * SECOND);
  expect(await use(host)).toBe('tokens-exhausted');
  sweep();
  expect(await use(host)).toBe('accepted');
});

test('a service whose clock is set back after its start takes tokens again once the old ones are dead', async () => {
  const { use, sweep } = makeAuthentication(now() + 3600 * SECOND);
  for (let i = 0; i < 9; i++) sweep();
  expect(await use(payments.host)).toBe('token-expired');
  sweep();
  expect(await use(payments.host)).toBe('accepted');
});
