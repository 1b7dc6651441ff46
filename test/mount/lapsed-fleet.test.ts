// A host as a member of the fleet: what it is told to serve, what it says of that, and its end as a member.
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../manifest/json.ts';
import { parseStoredReceipts } from '../../manifest/realm/exchange.ts';
import type { HostRecord } from '../../manifest/realm/hosts.ts';
import { verifyReceipt } from '../../manifest/realm/receipt.ts';
import type { Receipt } from '../../manifest/realm/receipt.ts';
import { soon } from '../support/lapsed.ts';
import type { Status } from '../support/lapsed.ts';
import { onOneMachine } from '../support/lapsed-anew.ts';
import { RealmMachine } from '../support/lapsed-realm.ts';
import type { Probe } from '../support/lapsed-probe.ts';

const secretValue = (): string => randomBytes(24).toString('base64url');

const LEASE_S = 60;

let machine: RealmMachine;
let web: Probe;

onOneMachine(async () => {
  machine = await RealmMachine.start({
    lease: LEASE_S,
    namespaces: { payments: {}, taken: { revoker: true }, loose: { whenStale: 'serve' } },
  });
  await machine.startLapsed();
  web = await machine.inWorkload('web');
  return machine;
});

afterEach(() => machine.proxy.mend());

async function receipts(): Promise<readonly Receipt[]> {
  const { realm, host, service } = machine;
  const { receipts: stored } = parseStoredReceipts(await service.client.file('receipts?after=0'));
  return Promise.all(stored.map(({ jws }) => verifyReceipt(jws, host as unknown as HostRecord, realm.id)));
}

/** The receipt that says so first. */
async function receiptOf(says: (receipt: Receipt) => boolean): Promise<Receipt> {
  let found: Receipt | undefined;
  await expect.poll(async () => (found = (await receipts()).find(says)), soon).toBeDefined();
  return found!;
}

const versionOf = (role: string): number => machine.realm.role(role).role.version;

it('a namespace that is new on the host is served at once, though the next nonce was far away', async () => {
  const value = secretValue();
  await machine.publish(machine.realm.delegate('fresh'));
  await machine.put('fresh/thing', value);
  // A nonce is sent when a third of the lease is over.
  await expect.poll(() => web.cat('self/thing'), { interval: 20, timeout: LEASE_S * 250 }).toBe(value);
  const { leases } = await machine.status();
  expect(leases['fresh']?.holds).toBe(true);
});

describe('receipts', () => {
  it('for a put, once it is served; for a revocation, once it is withdrawn, with what went', async () => {
    const value = secretValue();
    await machine.put('taken/db', value);
    const put = versionOf('taken');
    const shown = await receiptOf(({ roles }) => roles.get('taken')?.version === put);
    expect(await web.cat('self/db')).toBe(value);
    expect(shown).toMatchObject({
      host: 'web-1',
      realm: machine.realm.id,
      withdrawn: [],
      failures: new Map(),
    });
    expect(shown.roles.get('taken')?.sha256).toBe(machine.realm.role('taken').sha256);
    expect(shown.verifiedUs).toBeLessThanOrEqual(shown.effectUs);

    const held = await web.open('self/db');
    await web.map(held);
    expect(await web.touch()).toBe(value);
    await machine.publish(machine.realm.takeBack('taken', 'db', 1));
    const taken = versionOf('taken-revoker');
    const gone = await receiptOf(({ roles }) => roles.get('taken-revoker')?.version === taken);
    expect(await web.touch()).toBe('SIGBUS');
    expect([await web.read(held), await web.cat('self/db')]).toEqual(['EACCES', 'ENOENT']);
    expect(gone).toMatchObject({ withdrawn: ['taken/db@1'], more: 0, mappings: 1, boot: shown.boot });
    expect(gone.sequence).toBeGreaterThan(shown.sequence);
  });

  it('wait while the service is gone, and are posted when it is back; nothing waits for them', async () => {
    const value = secretValue();
    await machine.put('payments/late', value);
    const version = machine.realm.secret('payments', 'late')!.newestVersion;
    await expect.poll(() => web.cat('self/late'), soon).toBe(value);
    machine.proxy.answer = (path) =>
      path === 'receipts'
        ? { status: 500, body: Buffer.from('{"code":"store-failed","message":"x"}') }
        : undefined;
    await machine.publish(machine.realm.revoke('payments', 'late', version));
    await expect.poll(() => web.cat('self/late'), soon).toBe('ENOENT');
    const refused = ({ receipts: { lastError } }: Status): boolean => lastError !== null;
    const { receipts: waiting } = await machine.statusOf('a receipt that was refused', refused);
    expect(waiting.lastError).toContain('failed');
    expect(waiting.pending).toBeGreaterThan(0);
    machine.proxy.mend();
    await receiptOf(({ withdrawn }) => withdrawn.includes(`payments/late@${version}`));
    await machine.statusOf('none waiting', (status) => status.receipts.pending === 0);
  });
});

it('a policy that no longer lets a secret be served when stale: told, and served under the lease as before', async () => {
  const { realm } = machine;
  const value = secretValue();
  await machine.put('loose/wish', value, { whenStale: 'serve' });
  await expect.poll(() => web.cat('self/wish'), soon).toBe(value);
  const { policies } = realm.role('targets').raw as {
    readonly policies: Readonly<Record<string, JsonObject>>;
  };
  const tight = { ...policies, loose: { ...policies['loose'], whenStale: 'deny' } };
  await machine.publish(realm.adopt(realm.draft('targets', { policies: tight })));
  const exceeds = (status: Status): boolean => status.problems.some(({ code }) => code === 'policy-exceeded');
  const { problems } = await machine.statusOf('a problem', exceeds);
  expect(problems.map(({ message }) => message).join()).toContain('loose/wish');
  expect(await web.cat('self/wish')).toBe(value);
  const targets = versionOf('targets');
  const receipt = await receiptOf(({ roles }) => roles.get('targets')?.version === targets);
  expect([receipt.roles.has('loose'), receipt.failures.size]).toEqual([true, 0]);
});

it('a new epoch of its pool: what is put under it opens, and what was put before', async () => {
  const [before, after] = [secretValue(), secretValue()];
  await machine.put('payments/old', before);
  await machine.publish(await machine.realm.epoch());
  await machine.put('payments/new', after);
  await expect.poll(() => web.cat('self/new'), soon).toBe(after);
  await expect.poll(() => web.cat('self/old'), soon).toBe(before);
  const { keys } = (await machine.status()) as unknown as { keys: readonly { epoch: number }[] };
  expect(keys.map(({ epoch }) => epoch)).toEqual([1, 2]);
});

it('removed: everything is taken away at once, it says why, and it stays so over a restart', async () => {
  const value = secretValue();
  await machine.put('payments/last', value);
  await expect.poll(() => web.cat('self/last'), soon).toBe(value);
  const held = await web.open('self/last');
  await web.map(held);
  expect(await web.touch()).toBe(value);

  await machine.publish(await machine.realm.remove('web-1'));
  await expect.poll(() => web.read(held), soon).toBe('EACCES');
  await expect.poll(() => web.touch(), soon).toBe('SIGBUS');
  await expect.poll(() => web.cat('self/last'), soon).toBe('ENOENT');
  const status = await machine.statusOf('an empty vault', ({ vault }) => vault.held === 0);
  expect(status).toMatchObject({
    membership: 'host-removed',
    vault: { held: 0, open: 0 },
    leases: {},
    keys: [],
  });
  expect(status.problems.map(({ code }) => code)).toContain('host-removed');
  expect(machine.lapsed.log).toMatch(/was removed from the fleet.*host-removed/);

  const { server } = machine.lapsed;
  machine.lapsed.signalServer('SIGKILL');
  await machine.lapsed.serverAfter(server);
  await machine.statusOf('news', ({ membership }) => membership === 'host-removed');
  expect(['ENOENT', 'EACCES']).toContain(await web.cat('self/last'));
});
