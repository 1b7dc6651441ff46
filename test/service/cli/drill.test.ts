// `lapse drill` against a real service, with hosts that say what daemons would: who is asked, what is published, what becomes
// of hosts that are silent or refuse, and that every way to end takes the canary and the order back.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../client/clock.ts';
import type { Context } from '../../../client/cli/command.ts';
import { drill } from '../../../client/cli/drill/command.ts';
import { endEdit, standingOrder } from '../../../client/cli/drill/edits.ts';
import type { DrillOptions } from '../../../client/cli/drill/plan.ts';
import type { Identities } from '../../../client/cli/identities.ts';
import { Output } from '../../../client/cli/output.ts';
import { RealmDirectory } from '../../../client/cli/realm-directory.ts';
import { Session } from '../../../client/cli/session.ts';
import { Stopwatch } from '../../../client/cli/stopwatch.ts';
import { CANARY, DRILL, DRILL_KINDS, orderJson } from '../../../manifest/realm/drill/order.ts';
import type { DrillKind, DrillOrder } from '../../../manifest/realm/drill/order.ts';
import type { DrillRecord, DrillSummary } from '../../../manifest/realm/drill/report.ts';
import { parseKeptReports } from '../../../manifest/realm/drill/kept-report.ts';
import { isRevoked } from '../../../manifest/realm/revocation.ts';
import { DrillHost } from '../../support/drill-host.ts';
import type { Manner } from '../../support/drill-host.ts';
import { TestRealm } from '../../support/realm.ts';
import { startTestService } from '../../support/realm-service.ts';
import type { TestService } from '../../support/realm-service.ts';

const NAMES = ['web-1', 'web-2'] as const;
const clock = systemClock();
/** As commander gives them, when nothing else is asked for. */
const OPTIONS: DrillOptions = {
  trials: '3',
  warmUp: '1',
  share: '100%',
  settle: '25ms',
  victims: 'server',
  means: 'kill',
  within: '5ms',
  yes: true,
};

let service: TestService;
let realm: TestRealm;
let directory: string;
let hosts: AsyncDisposableStack;
let interrupt: AbortController;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lapse-drill-'));
  service = await startTestService({ http: true });
  realm = await TestRealm.make(await service.client.onlineKeys(), { lease: 60 });
  await service.client.create(realm.genesis);
  for (const name of NAMES) await service.client.publish((await realm.join(name)).publish);
  await service.client.publish(realm.delegate('drill', { leaseSeconds: 3 }));
  await service.client.publish(realm.adopt(realm.draft('drill', { targets: {} })));
  const operator = new RealmDirectory(directory);
  await operator.create();
  await operator.write('root.json', realm.genesis.root);
  await operator.writeConfig({ service: service.client.url });
  hosts = new AsyncDisposableStack();
  interrupt = new AbortController();
});

afterEach(async () => {
  await hosts.disposeAsync();
  await service[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

async function host(name: string, manner?: Manner): Promise<DrillHost> {
  return hosts.use(await DrillHost.start(realm.hosts.get(name)!, realm, service.client, manner));
}

/** Somebody who signs the namespace. */
function context(said: { text: string }): Context {
  const signer = realm.signer('drill');
  const known = { public: { keyid: signer.keyid }, sign: (bytes: Uint8Array) => signer.sign(bytes) };
  const identities = {
    among: (keyids: Iterable<string>) => Promise.resolve([...keyids].includes(signer.keyid) ? [known] : []),
    openSome: (some: unknown) => Promise.resolve(some),
  } as unknown as Identities;
  const stdout = { write: (text: string) => void (said.text += text) };
  return {
    clock,
    unbroken: clock,
    output: new Output(true, { stdout, stderr: stdout }),
    directory: new RealmDirectory(directory),
    identities,
    input: 'command',
    signal: interrupt.signal,
  };
}

interface Told {
  readonly report: DrillSummary & {
    readonly record: DrillRecord;
    readonly jws: string;
    readonly kept: boolean;
  };
  /** Of what it threw. */
  readonly code: string | undefined;
}

async function practise(kind: DrillKind, options: Partial<DrillOptions> = {}): Promise<Told> {
  const said = { text: '' };
  const code = await drill(context(said), kind, { ...OPTIONS, ...options }).then(
    () => undefined,
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );
  const { summary, ...rest } = (said.text === '' ? {} : JSON.parse(said.text)) as { summary?: DrillSummary };
  return { report: { ...summary, ...rest } as Told['report'], code };
}

/** Nothing is left: no order stands, no version can be read, nobody has a grant. */
async function expectTidy(): Promise<void> {
  const { state } = await Session.open(context({ text: '' }));
  const canary = state.secrets.get(DRILL)?.get(CANARY);
  expect(standingOrder(state, 0)).toBeUndefined();
  expect(canary && [isRevoked(canary, canary.newestVersion), canary.superseded, canary.grants]).toEqual([
    true,
    [],
    [],
  ]);
}

test.each(DRILL_KINDS)('%s: every trial has every host in it, and nothing is left behind', async (kind) => {
  const [one] = [await host('web-1'), await host('web-2')];
  const { report, code } = await practise(kind);
  const { record } = report;
  expect([code, report.pass, report.trials, report.hosts, report.kept]).toEqual([
    undefined,
    true,
    3,
    2,
    true,
  ]);
  const { drills } = parseKeptReports(await service.client.file('drills'));
  expect(drills.map(({ jws }) => jws)).toEqual([report.jws]);
  expect(record).toMatchObject({ kind, warmUp: 1, leaseSeconds: 3, aborted: false, drill: one.orders[0] });
  expect(record.participants).toEqual(NAMES.map((name) => ({ host: name, state: 'took-part' })));
  expect(record.trials.map(({ number, missing }) => [number, missing])).toEqual([
    [1, []],
    [2, []],
    [3, []],
  ]);
  for (const { hosts: told } of record.trials) {
    expect(told.map((each) => each.host).toSorted()).toEqual(NAMES);
    for (const { clock: whose, uncertaintyUs, stages } of told) {
      expect([whose, uncertaintyUs]).toEqual(['same', 0]);
      const times = Object.values(stages);
      expect(times).toHaveLength(kind === 'partition' ? 4 : 11);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
    }
  }
  await expectTidy();
});

test('a host with another clock is told by bounds, which hold whatever its clock says', async () => {
  await host('web-1', { boot: 'elsewhere', aheadUs: 123_456_789 });
  const { report } = await practise('revoke', { hosts: 'web-1' });
  for (const { hosts: told } of report.record.trials) {
    const [only] = told;
    expect(only).toMatchObject({ clock: 'bounded' });
    expect(only!.uncertaintyUs).toBeGreaterThan(0);
    const { received = 0, pushed = 0, receiptVerified = 0 } = only!.stages;
    expect(received).toBeLessThanOrEqual(receiptVerified);
    expect(received - only!.uncertaintyUs).toBeGreaterThanOrEqual(Math.min(0, pushed) - 1);
  }
});

test('whoever is silent is left out, and shown; the others go on', async () => {
  await host('web-1');
  await host('web-2', { isSilent: true });
  const { report, code } = await practise('revoke', { timeout: '5s' });
  expect(code).toBe('drill-silent');
  expect(report.record.participants).toEqual([
    { host: 'web-1', state: 'took-part' },
    { host: 'web-2', state: 'silent' },
  ]);
  expect(report.record.trials.map((trial) => trial.hosts.map((each) => each.host))).toEqual(
    Array(3).fill(['web-1']),
  );
  await expectTidy();
});

test('whoever refuses is shown with its reason, and nobody waits for it', async () => {
  await host('web-1');
  await host('web-2', { refuses: 'drill-off' });
  const { report, code } = await practise('revoke', { timeout: '60s' });
  expect([code, report.hosts]).toEqual([undefined, 1]);
  expect(report.record.participants[1]).toEqual({ host: 'web-2', state: 'refused', code: 'drill-off' });
});

test('when all refuse, nothing was measured', async () => {
  for (const name of NAMES) await host(name, { refuses: 'drill-cap' });
  const { report, code } = await practise('revoke', { timeout: '60s' });
  expect([code, report.pass, report.trials]).toEqual(['drill-silent', false, 0]);
  await expectTidy();
});

test('a read after the effect, and an objective that is missed', async () => {
  await host('web-1', {
    saw: (seen) => ({ ...seen, ways: { ...seen.ways, held: { ...seen.ways.held, late: 1 } } }),
  });
  expect(await practise('revoke', { hosts: 'web-1' })).toMatchObject({
    code: 'drill-unmet',
    report: { readsAfterEffect: 3 },
  });
  await hosts.disposeAsync();
  hosts = new AsyncDisposableStack();
  await host('web-1');
  const missed = await practise('revoke', { hosts: 'web-1', slo: ['revoke p50 < 1us'] });
  expect(missed).toMatchObject({ code: 'drill-unmet', report: { slo: [{ met: false }] } });
});

test('Ctrl-C ends it in order, and what was measured is told', async () => {
  for (const name of NAMES)
    await host(name, { onGone: (version) => version === 3 && name === 'web-1' && interrupt.abort() });
  const { report, code } = await practise('revoke', { trials: '500' });
  expect([code, report.record.aborted, report.pass]).toEqual(['drill-aborted', true, false]);
  expect(report.record.trials.length).toBeLessThan(5);
  interrupt = new AbortController();
  await expectTidy();
});

test('in groups: never more than the share at once, and each makes all trials', async () => {
  const orders: DrillOrder[] = [];
  const made = await Promise.all(NAMES.map((name) => host(name, { onOrder: (order) => orders.push(order) })));
  const { report, code } = await practise('workload', { share: '50%' });
  expect(code).toBeUndefined();
  expect(orders.map((order) => order.hosts)).toEqual([['web-1'], ['web-2']]);
  expect(made.map((each) => each.orders.length)).toEqual([1, 1]);
  expect(report.record.trials.map((trial) => trial.hosts.map((each) => each.host))).toEqual(
    Array(3).fill([...NAMES]),
  );
});

test('a dry run says what would happen, and publishes nothing', async () => {
  const before = (await Session.open(context({ text: '' }))).state.set.timestamp?.role.version;
  const { report, code } = await practise('crash', { dryRun: true, share: '50%' });
  expect(code).toBeUndefined();
  expect(report).toMatchObject({
    dryRun: true,
    trials: 3,
    groups: [['web-1'], ['web-2']],
    orders: [{ kind: 'crash', hosts: ['web-1'], trials: 4, crash: { victims: ['server'] } }, {}],
  });
  expect((await Session.open(context({ text: '' }))).state.set.timestamp?.role.version).toBe(before);
});

test('one at a time: another waits, or whoever ends the first one', async () => {
  const ordered = Promise.withResolvers<DrillOrder>();
  await host('web-1', { onOrder: ordered.resolve });
  await host('web-2', { isSilent: true });
  const first = practise('revoke', { timeout: '60s' });
  const { id } = await ordered.promise;
  expect((await practise('rotate')).code).toBe('drill-running');
  const session = await Session.open(context({ text: '' }));
  expect(standingOrder(session.state, clock.now())?.id).toBe(id);
  await session.publish(new Stopwatch(clock), (state) => endEdit(state, clock.now()));
  await expectTidy();
  interrupt.abort();
  expect((await first).code).toBe('drill-aborted');
});

test('two that begin at the same moment: the service lets one of them, and the other says so', async () => {
  for (const name of NAMES) await host(name, { isSilent: true });
  const both = [practise('revoke', { timeout: '60s' }), practise('rotate', { timeout: '60s' })];
  expect((await Promise.race(both)).code).toBe('drill-running');
  interrupt.abort();
  const codes = (await Promise.all(both)).map(({ code }) => code);
  expect(codes.toSorted()).toEqual(['drill-aborted', 'drill-running']);
  interrupt = new AbortController();
  await expectTidy();
});

test("an order whose time is over stands in nobody's way", async () => {
  await host('web-1');
  const session = await Session.open(context({ text: '' }));
  const old: DrillOrder = {
    id: '0'.repeat(32),
    kind: 'revoke',
    hosts: [realm.hosts.get('web-2')!.name],
    workload: 'lapse-probe' as never,
    trials: 3,
    until: clock.now() - 2000,
    settleMs: 25,
  };
  await session.publish(new Stopwatch(clock), () => ({
    roles: [{ role: DRILL, change: { drill: orderJson(old) } }],
    files: [],
  }));
  expect((await practise('revoke', { hosts: 'web-1' })).code).toBeUndefined();
  await expectTidy();
});

test('a host that does not serve drills is not asked; a report that cannot be written stops it before', async () => {
  expect((await practise('revoke', { hosts: 'web-9' })).code).toBe('host-missing');
  expect((await practise('revoke', { junit: join(directory, 'no/such/file') })).code).toBe(
    'report-unwritable',
  );
  expect((await Session.open(context({ text: '' }))).state.secrets.get(DRILL)?.size).toBe(0);
});

test('the page and the report for CI are written', async () => {
  await host('web-1');
  const [page, junit] = [join(directory, 'drill.html'), join(directory, 'junit.xml')];
  await practise('revoke', { hosts: 'web-1', report: page, junit });
  expect(readFileSync(page, 'utf8')).toMatch(/^<!doctype html>/);
  expect(readFileSync(junit, 'utf8')).toContain('<testsuite');
});
