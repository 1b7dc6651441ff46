// Receipts and requests to join over real HTTPS: verified before they are kept, bounded, durable, and read by whoever waits.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { signStatement } from '../../manifest/realm/drill/statement.ts';
import type { DrillStatement } from '../../manifest/realm/drill/statement.ts';
import { parseJoins, parseStoredReceipts, readStoredReceipt } from '../../manifest/realm/exchange.ts';
import type { StoredReceipts } from '../../manifest/realm/exchange.ts';
import { encodeJoin, joinRequest } from '../../manifest/realm/invite.ts';
import type { JoinRequest } from '../../manifest/realm/invite.ts';
import { signReceipt } from '../../manifest/realm/receipt.ts';
import type { Receipt } from '../../manifest/realm/receipt.ts';
import { systemClock } from '../../service/clock.ts';
import { JoinDesk } from '../../service/joins.ts';
import type { MemberList } from '../../service/members.ts';
import { ReceiptBook } from '../../service/receipts.ts';
import { Inbox, RECEIPTS_PER_HOST } from '../../service/store/inbox.ts';
import { startPayments } from '../support/realm-service.ts';
import type { Payments, Reply } from '../support/realm-service.ts';
import { makeHost } from '../support/realm.ts';
import type { TestHost } from '../support/realm.ts';

let payments: Payments;
let sequence = 0;

beforeEach(async () => {
  payments = await startPayments();
});

afterEach(async () => {
  await payments.service[Symbol.asyncDispose]();
});

function receipt(host: TestHost, change: Partial<Receipt> = {}): Promise<string> {
  const { realm, service } = payments;
  const whole: Receipt = {
    realm: realm.id,
    host: host.name,
    boot: '1c7d5a3e-6f34-4b0c-9d53-0d3d1c1f5a10',
    sequence: ++sequence,
    at: service.clock.now(),
    roles: new Map([['payments', { version: 1, sha256: 'a'.repeat(64) }]]),
    withdrawn: [],
    more: 0,
    mappings: 0,
    failures: new Map(),
    verifiedUs: 100,
    effectUs: 200,
    ...change,
  };
  return signReceipt(whole, host.signingKey, host.kid);
}

function statement(host: TestHost, change: Partial<DrillStatement> = {}): Promise<string> {
  const { id: realm } = payments.realm;
  const boot = '1c7d5a3e-6f34-4b0c-9d53-0d3d1c1f5a10';
  const whole = { realm, host: host.name, boot, drill: 'ab'.repeat(16), kind: 'armed', version: ++sequence };
  return signStatement({ ...whole, ...change } as DrillStatement, host.signingKey, host.kid);
}

async function post(...receipts: readonly string[]): Promise<Reply> {
  return payments.client.post('receipts', JSON.stringify({ receipts }));
}

async function stored(after = 0): Promise<StoredReceipts> {
  return parseStoredReceipts(await payments.client.as(undefined).file(`receipts?after=${after}`));
}

describe('receipts', () => {
  test('are kept in the order in which they came, and read from a number on', async () => {
    const { host } = payments;
    const [one, two, three] = [await receipt(host), await receipt(host), await receipt(host)];
    expect(await post(one)).toEqual({ status: 202, body: { stored: 1 } });
    expect(await post(two, three)).toEqual({ status: 202, body: { stored: 2 } });
    const all = await stored();
    expect(all.receipts.map(({ host: name, jws }) => [name, jws])).toEqual([
      ['web-1', one],
      ['web-1', two],
      ['web-1', three],
    ]);
    expect(all.last).toBe(all.receipts.at(-1)!.id);
    expect((await stored(all.receipts[1]!.id)).receipts.map(({ jws }) => jws)).toEqual([three]);
    expect(await stored(all.last)).toEqual({ receipts: [], last: all.last });
  });

  test('a number beyond the last, and numbers that are none', async () => {
    await post(await receipt(payments.host));
    const { last } = await stored();
    expect(await stored(Number.MAX_SAFE_INTEGER)).toEqual({ receipts: [], last });
    for (const after of ['-1', 'x', '', '9007199254740992', '1&after=2']) {
      for (const path of [`receipts?after=${after}`, `receipts/events?after=${after}`]) {
        expect([path, (await payments.client.get(path)).status]).toEqual([path, 400]);
      }
    }
  });

  test('a page is bounded in bytes; the next goes on behind it', async () => {
    const large = { failures: new Map(Array.from({ length: 450 }, (_, i) => [`role-${i}`, 'x'.repeat(60)])) };
    for (let i = 0; i < 3; i++) {
      await post(...(await Promise.all(Array.from({ length: 15 }, () => receipt(payments.host, large)))));
    }
    const first = await stored();
    expect(first.receipts.length).toBeLessThan(45);
    const rest = await stored(first.receipts.at(-1)!.id);
    expect(first.receipts.length + rest.receipts.length).toBe(45);
    expect(rest.receipts.at(-1)!.id).toBe(first.last);
  });

  test('one that came before is not kept twice', async () => {
    const jws = await receipt(payments.host);
    await post(jws);
    expect(await post(jws)).toEqual({ status: 202, body: { stored: 1 } });
    expect((await stored()).receipts).toHaveLength(1);
  });

  test.each([
    ['of another host', async ({ realm }: Payments) => receipt(makeHost(realm.id, 'web-2'))],
    ['that names another host', async ({ host }: Payments) => receipt(host, { host: 'web-2' as never })],
    ['of another realm', async ({ host }: Payments) => receipt(host, { realm: '0'.repeat(64) as never })],
    ['that is none', () => Promise.resolve('e30.e30.e30')],
    ['altered', async ({ host }: Payments) => (await receipt(host)).replace(/.{4}$/, 'AAAA')],
  ])('one %s is refused, and those beside it are not kept', async (_what, make) => {
    const reply = await post(await receipt(payments.host), await make(payments));
    expect(reply).toMatchObject({ status: 422, body: { code: 'receipt-refused' } });
    expect(await stored()).toEqual({ receipts: [], last: 0 });
  });

  test.each([
    ['no JSON', '{', 400],
    ['no list', '{"receipts":1}', 400],
    ['too many', JSON.stringify({ receipts: Array.from({ length: 17 }, () => 'x') }), 400],
    ['too deep', `{"receipts":${'['.repeat(100)}${']'.repeat(100)}}`, 400],
    ['too large', ' '.repeat((1 << 20) + 1), 413],
  ])('a body that is %s', async (_what, body, status) => {
    expect(await payments.client.post('receipts', body)).toMatchObject({ status });
  });

  test(`the last ${RECEIPTS_PER_HOST} of each host are kept`, async () => {
    const { client, realm, host } = payments;
    const { host: second, publish } = await realm.join('web-2');
    await client.publish(publish);
    await client.as(second).post('receipts', JSON.stringify({ receipts: [await receipt(second)] }));
    for (let i = 0; i < 5; i++) {
      await post(...(await Promise.all(Array.from({ length: 16 }, () => receipt(host)))));
    }
    const { receipts } = await stored();
    const names = receipts.map(({ host: name }) => name);
    expect([
      names.filter((name) => name === 'web-1').length,
      names.filter((name) => name === 'web-2').length,
    ]).toEqual([RECEIPTS_PER_HOST, 1]);
    expect(receipts.at(-1)!.id - receipts[1]!.id).toBe(RECEIPTS_PER_HOST - 1);
  });

  test(`statements of drills are kept beside them, ${RECEIPTS_PER_HOST} of each host, and push none of them out`, async () => {
    const { host } = payments;
    const mixed = [await receipt(host), await statement(host)];
    expect(await post(...mixed)).toEqual({ status: 202, body: { stored: 2 } });
    expect((await stored()).receipts.map(({ jws }) => jws)).toEqual(mixed);
    for (let i = 0; i < 5; i++) {
      await post(...(await Promise.all(Array.from({ length: 16 }, () => statement(host)))));
    }
    const { receipts } = await stored();
    expect(receipts).toHaveLength(1 + RECEIPTS_PER_HOST);
    expect(receipts[0]!.jws).toBe(mixed[0]);
  });

  test.each([
    ['of another host', async ({ realm }: Payments) => statement(makeHost(realm.id, 'web-2'))],
    ['that names another host', async ({ host }: Payments) => statement(host, { host: 'web-2' as never })],
    ['of another realm', async ({ host }: Payments) => statement(host, { realm: '0'.repeat(64) as never })],
    ['of a kind that nobody knows', async ({ host }: Payments) => statement(host, { kind: 'x' as never })],
    ['altered', async ({ host }: Payments) => (await statement(host)).replace(/.{4}$/, 'AAAA')],
  ])('a statement %s is refused, and those beside it are not kept', async (_what, make) => {
    const reply = await post(await receipt(payments.host), await make(payments));
    expect(reply).toMatchObject({ status: 422, body: { code: 'drill-refused' } });
    expect(await stored()).toEqual({ receipts: [], last: 0 });
  });

  test('each says when it came, by a clock that also stands in the answer to a publish and in news', async () => {
    const { client, realm, host } = payments;
    const { bootId } = systemClock;
    const before = systemClock.monotonicUs();
    using events = await client.events();
    expect(await events.next()).toMatchObject({ news: { boot: bootId } });
    const { body } = await client.publish(await realm.put('payments', 'db'));
    const pushed = (await events.next())!.news;
    await post(await receipt(host));
    const [one] = (await stored()).receipts;
    expect(body['boot']).toBe(bootId);
    const { at: committed } = body as { readonly at: number };
    const moments = [before, committed, pushed.at!, one!.at, systemClock.monotonicUs()];
    expect(moments.every((at) => Number.isSafeInteger(at))).toBe(true);
    expect(moments).toEqual(moments.toSorted((a, b) => a - b));
  });

  test('survive a restart; numbers go on', async () => {
    const { host, service } = payments;
    await post(await receipt(host));
    const before = await stored();
    const restarted = await service.restart();
    payments = { ...payments, service: restarted, client: restarted.client.as(host) };
    expect(await stored()).toEqual(before);
    await post(await receipt(host));
    expect((await stored(before.last)).receipts).toMatchObject([{ id: before.last + 1 }]);
  });

  test('twenty at once are one commit', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lapse-receipts-'));
    const inbox = new Inbox(join(directory, 'inbox.sqlite'));
    const commit = vi.spyOn(inbox, 'putReceipts');
    const book = new ReceiptBook(inbox, systemClock);
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        book.put([{ host: `web-${i}`, kind: 'receipt' as const, jws: 'x' }]),
      ),
    );
    expect(commit).toHaveBeenCalledOnce();
    expect((await book.page(0)).receipts).toHaveLength(20);
    await inbox.close();
    rmSync(directory, { recursive: true });
  });

  test('a commit that fails fails all that waited for it, and none after', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lapse-receipts-'));
    const inbox = new Inbox(join(directory, 'inbox.sqlite'));
    vi.spyOn(inbox, 'putReceipts').mockRejectedValueOnce(new Error('full'));
    const book = new ReceiptBook(inbox, systemClock);
    const outcomes = await Promise.allSettled(
      [1, 2].map(() => book.put([{ host: 'web-1', kind: 'receipt', jws: 'x' }])),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await book.put([{ host: 'web-1', kind: 'receipt', jws: 'y' }]);
    expect((await book.page(0)).receipts).toMatchObject([{ jws: 'y' }]);
    await inbox.close();
    rmSync(directory, { recursive: true });
  });
});

describe('receipt events', () => {
  test('tell what came after a number, then each as it comes', async () => {
    const { client, host } = payments;
    const [one, two, three] = [await receipt(host), await receipt(host), await receipt(host)];
    await post(one, two);
    const [first] = (await stored()).receipts;
    using stream = await client.as(undefined).stream(`receipts/events?after=${first!.id}`);
    const read = async () => readStoredReceipt(JSON.parse((await stream.nextOf('receipt'))!.data) as never);
    expect(await read()).toMatchObject({ host: 'web-1', jws: two });
    await post(three);
    expect(await read()).toMatchObject({ id: first!.id + 2, host: 'web-1', jws: three });
    using resumed = await client.stream('receipts/events', { 'last-event-id': String(first!.id + 1) });
    expect((await resumed.nextOf('receipt'))!.id).toBe(String(first!.id + 2));
  });

  test('readers are bounded; one that leaves makes room; the end of the service ends them', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lapse-receipts-'));
    const inbox = new Inbox(join(directory, 'inbox.sqlite'));
    const book = new ReceiptBook(inbox, systemClock, 1);
    const left = new AbortController();
    const reader = book.follow(0, left.signal);
    const waiting = reader.next();
    expect(() => book.checkRoom()).toThrow(expect.objectContaining({ code: 'streams-exhausted' }));
    left.abort();
    expect((await waiting).done).toBe(true);
    expect(() => book.checkRoom()).not.toThrow();
    const second = book.follow(0, new AbortController().signal).next();
    book[Symbol.dispose]();
    expect((await second).done).toBe(true);
    expect(() => book.checkRoom()).toThrow(expect.objectContaining({ code: 'streams-exhausted' }));
    await inbox.close();
    rmSync(directory, { recursive: true });
  });

  test('a reader that does not read holds nobody up, and what it did not take is not kept for it', async () => {
    const { client, host } = payments;
    const slow = connect({ port: Number(new URL(client.url).port), rejectUnauthorized: false });
    await once(slow, 'secureConnect');
    slow.pause().write('GET /v1/receipts/events HTTP/1.1\r\nHost: lapse\r\n\r\n');
    using quick = await client.stream('receipts/events');
    const large = { failures: new Map(Array.from({ length: 500 }, (_, i) => [`role-${i}`, 'x'.repeat(60)])) };
    for (let i = 0; i < 8; i++) {
      const receipts = await Promise.all(Array.from({ length: 10 }, () => receipt(host, large)));
      expect(await post(...receipts)).toMatchObject({ status: 202 });
      for (const jws of receipts) expect((await quick.nextOf('receipt'))!.data).toContain(jws);
    }
    slow.destroy();
  });
});

describe('joins', () => {
  const DAY = 24 * 3600_000;

  function request(name: string, id = randomBytes(16).toString('hex')): JoinRequest {
    const { realm, client } = payments;
    const { name: hostName, signing, encryption, pools } = makeHost(realm.id, name);
    const host = { name: hostName, signing, encryption, pools };
    const invite = {
      service: client.url,
      realm: realm.id,
      id,
      secret: randomBytes(32),
      pools,
      expires: Date.now() + DAY,
    };
    return joinRequest(invite, host);
  }

  const ask = (join: JoinRequest): Promise<Reply> =>
    payments.client.as(undefined).post('joins', JSON.stringify(encodeJoin(join)));
  const waiting = async (): Promise<readonly JoinRequest[]> =>
    parseJoins(await payments.client.as(undefined).file('joins'));

  test('wait for an answer, one for each invitation', async () => {
    const join = request('web-2');
    expect(await ask(join)).toMatchObject({ status: 201 });
    expect(await waiting()).toEqual([join]);
    expect(await ask(request('web-3', join.id))).toMatchObject({
      status: 409,
      body: { code: 'join-exists' },
    });
    expect(await waiting()).toEqual([join]);
  });

  test('survive a restart, and last a day', async () => {
    const join = request('web-2');
    await ask(join);
    const restarted = await payments.service.restart();
    payments = { ...payments, service: restarted, client: restarted.client };
    expect(await waiting()).toEqual([join]);
    restarted.clock.advance(DAY - 10_000);
    expect(await waiting()).toEqual([join]);
    restarted.clock.advance(10_000);
    expect(await waiting()).toEqual([]);
    expect(await ask(join)).toMatchObject({ status: 201 });
  });

  test('go when the host is there; one that only has its name stays', async () => {
    const { client, realm } = payments;
    const { host, publish } = await realm.join('web-2');
    const { signing, encryption } = host;
    const [genuine, squatter] = [{ ...request('web-2'), signing, encryption }, request('web-2')];
    await ask(genuine);
    await ask(squatter);
    await client.publish(publish);
    expect((await waiting()).map(({ id }) => id)).toEqual([squatter.id]);
  });

  test('are few: the oldest make room', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lapse-joins-'));
    const inbox = new Inbox(join(directory, 'inbox.sqlite'));
    const members = { read: () => Promise.resolve({ byKid: new Map() }) } as unknown as MemberList;
    const desk = new JoinDesk(inbox, members, payments.service.clock, 8);
    const template = request('web-2');
    const ids = Array.from({ length: 8 + 3 }, (_, i) => i.toString(16).padStart(32, '0'));
    for (const id of ids) await desk.post({ ...template, id });
    const kept = parseJoins(Buffer.from(await desk.waiting())).map(({ id }) => id);
    expect(kept).toEqual(ids.slice(3));
    await inbox.close();
    rmSync(directory, { recursive: true });
  });

  test.each([
    ['no JSON', '{', 400],
    ['no request', '{}', 400],
    ['too deep', `{"id":${'['.repeat(100)}${']'.repeat(100)}}`, 400],
    ['too large', `{"id":"${'0'.repeat(5000)}"}`, 413],
    ['a name that is none', JSON.stringify({ ...encodeJoinOf(), name: '../x' }), 422],
  ])('a body that is %s', async (_what, body, status) => {
    expect(await payments.client.post('joins', body)).toMatchObject({ status });
    expect(await waiting()).toEqual([]);
  });
});

function encodeJoinOf() {
  const { name, signing, encryption, pools } = makeHost('0'.repeat(64) as never, 'web-2');
  return encodeJoin({ id: '0'.repeat(32), name, signing, encryption, pools, mac: '0'.repeat(64) });
}
