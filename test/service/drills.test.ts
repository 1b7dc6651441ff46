// Reports of drills over real HTTPS: kept when one who may order drills signed them, once for each drill, the newest of them;
// and read in pages by whoever can connect.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KEPT_LIMITS, parseKeptReports } from '../../manifest/realm/drill/kept-report.ts';
import type { KeptReports } from '../../manifest/realm/drill/kept-report.ts';
import { httpTransport } from '../../client/transport.ts';
import { systemClock } from '../../client/clock.ts';
import type { RealmId } from '../../manifest/names.ts';
import type { DrillSummary } from '../../manifest/realm/drill/report.ts';
import { signReport } from '../../manifest/realm/drill/signed-report.ts';
import { DrillShelf } from '../../service/drills.ts';
import type { Repository } from '../../service/repository.ts';
import { Inbox } from '../../service/store/inbox.ts';
import { drillSummary } from '../support/drill-report.ts';
import { startTestService } from '../support/realm-service.ts';
import type { Reply, TestService } from '../support/realm-service.ts';
import { TestRealm, makeSigner } from '../support/realm.ts';
import type { TestSigner } from '../support/realm.ts';

let service: TestService;
let realm: TestRealm;
let signer: TestSigner;

beforeAll(async () => {
  service = await startTestService();
  realm = await TestRealm.make(await service.client.onlineKeys(), { now: service.clock.now() });
  expect((await service.client.create(realm.genesis)).status).toBe(201);
});

afterAll(() => service[Symbol.asyncDispose]());

let drills = 0;

function sign(change: Partial<DrillSummary> = {}, by: TestSigner = signer): Promise<string> {
  const endedAt = service.clock.now();
  const summary = drillSummary({
    realm: realm.id,
    drill: idOf(++drills),
    startedAt: endedAt - 1000,
    endedAt,
  });
  const { keyid } = by;
  return signReport(
    { ...summary, ...change },
    { public: { keyid }, sign: (bytes) => Promise.resolve(by.sign(bytes)) },
  );
}

function idOf(number: number): string {
  return number.toString(16).padStart(32, '0');
}

function post(jws: string): Promise<Reply> {
  return service.client.post('drills', JSON.stringify({ jws }));
}

async function kept(query = ''): Promise<KeptReports> {
  return parseKeptReports(await service.client.file(`drills${query}`));
}

test('without the namespace nobody may sign one', async () => {
  expect(await post(await sign({}, makeSigner()))).toMatchObject({
    status: 422,
    body: { code: 'drill-refused', message: 'this realm has no namespace drill' },
  });
});

describe('with the namespace', () => {
  beforeAll(async () => {
    expect((await service.client.publish(realm.delegate('drill'))).status).toBe(200);
    signer = realm.signer('drill');
  });

  test('reports are kept in the order in which they came, and read in pages', async () => {
    const { last: before } = await kept();
    const jws = [await sign(), await sign(), await sign()];
    for (const each of jws) expect(await post(each)).toEqual({ status: 201, body: {} });
    const all = await kept(`?after=${before}`);
    expect(all.drills.map((each) => each.jws)).toEqual(jws);
    expect(all.drills.map(({ at }) => at)).toEqual(jws.map(() => service.clock.now()));
    const [first, second, third] = all.drills.map(({ id }) => id);
    expect(all.last).toBe(third);
    expect((await kept(`?after=${before}&limit=2`)).drills.map(({ id }) => id)).toEqual([first, second]);
    expect((await kept(`?after=${second}&limit=2`)).drills.map(({ id }) => id)).toEqual([third]);
    expect(await kept(`?after=${third}`)).toEqual({ drills: [], last: third });
    for (const query of ['?limit=0', '?limit=101', '?after=-1', '?after=x', '?after=9007199254740992']) {
      expect([query, (await service.client.get(`drills${query}`)).status]).toEqual([query, 400]);
    }
  });

  test('the client posts one and reads it back', async () => {
    const transport = httpTransport(service.client.address, systemClock());
    const jws = await sign();
    await transport.postDrill(jws);
    await expect(transport.postDrill(jws)).rejects.toMatchObject({
      code: 'service-conflict',
      reason: 'drill-exists',
    });
    const { drills: all, last } = await transport.drills(0);
    expect(all.at(-1)).toMatchObject({ id: last, jws });
    expect((await transport.drills(last)).drills).toEqual([]);
  });

  test.each([
    ['signed by somebody else', () => sign({}, makeSigner()), 'drill-refused'],
    ['signed by the owner of targets', () => sign({}, realm.signer('targets')), 'drill-refused'],
    ['of another realm', () => sign({ realm: 'e'.repeat(64) as RealmId }), 'drill-refused'],
    ['of a drill to come', () => sign({ endedAt: service.clock.now() + 301_000 }), 'drill-refused'],
    ['altered', async () => (await sign()).replace(/.{4}$/, 'AAAA'), 'drill-refused'],
    ['that is none', () => Promise.resolve('e30.e30.e30'), 'drill-refused'],
  ])('one %s is refused, and nothing is kept', async (_what, make, code) => {
    const before = await kept();
    expect(await post(await make())).toMatchObject({ status: 422, body: { code } });
    expect(await kept()).toEqual(before);
  });

  test('a second report of a drill is refused, whatever it says', async () => {
    const drill = idOf(++drills);
    expect((await post(await sign({ drill }))).status).toBe(201);
    const before = await kept();
    expect(await post(await sign({ drill, trials: 7 }))).toMatchObject({
      status: 409,
      body: { code: 'drill-exists' },
    });
    expect(await kept()).toEqual(before);
  });

  test('a body that is too large, and one that is none', async () => {
    expect(await post('A'.repeat(KEPT_LIMITS.postBytes))).toMatchObject({
      status: 413,
      body: { code: 'body-too-large' },
    });
    expect((await service.client.post('drills', '{"jws": 7}')).status).toBe(400);
  });

  test('the newest are kept: an older one is refused, and what was let go does not come back', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lapse-drills-'));
    const inbox = new Inbox(join(directory, 'inbox.sqlite'));
    try {
      const repository = {
        role: () => Promise.resolve(realm.role('targets')),
        realm: () => Promise.resolve(realm.id),
      } as unknown as Repository;
      const shelf = new DrillShelf(inbox, repository, service.clock, 3);
      const now = service.clock.now();
      const ended = (ago: number) => sign({ startedAt: 0, endedAt: now - ago });
      const jws = [await ended(50), await ended(40), await ended(30), await ended(20)];
      for (const each of jws) await shelf.put(each);
      const listed = async () => (await shelf.page(0, 100)).drills.map((each) => each.jws);
      expect(await listed()).toEqual(jws.slice(1));
      await expect(shelf.put(jws[0]!)).rejects.toMatchObject({ code: 'drill-refused' });
      await expect(shelf.put(await ended(45))).rejects.toMatchObject({ code: 'drill-refused' });
      const late = await ended(35);
      await shelf.put(late);
      expect(await listed()).toEqual([jws[2], jws[3], late]);
      const newest = await ended(10);
      await shelf.put(newest);
      expect(await listed()).toEqual([jws[2], jws[3], newest]);
      expect((await shelf.page(0, 100)).last).toBe(6);
    } finally {
      await inbox.close();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test('receipts and reports are numbered apart, and both outlive a restart', async () => {
    const before = await kept();
    service = await service.restart();
    expect(await kept()).toEqual(before);
    const receipts = (await (await service.client.get('receipts')).json()) as { last: number };
    expect(receipts.last).toBe(0);
  });
});
