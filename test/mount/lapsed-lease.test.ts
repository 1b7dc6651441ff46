// The lease, by namespace, on a real mount and against whoever stands between a host and its service. Each refusal follows a
// success in the same place. Leases are two seconds long; nothing here waits for a longer one.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { soon, until } from '../support/lapsed.ts';
import { onOneMachine } from '../support/lapsed-anew.ts';
import { RealmMachine } from '../support/lapsed-realm.ts';
import type { Puppet } from '../support/lapsed-realm.ts';
import { withhold } from '../support/lapsed-proxy.ts';
import type { Probe } from '../support/lapsed-probe.ts';

const LEASE_S = 2;
const LEASE = LEASE_S * 1000;
const HOUR = 3_600_000;
/** A lease is renewed at least this long before its end, in milliseconds: a machine that stood still for longer ends it. */
const SPARE = LEASE / 4;

let machine: RealmMachine;
let puppet: Puppet;
let web: Probe;
/** A descriptor of `payments/db`, of which a second reader has a mapping. */
let held: string;
let mapper: Probe;

onOneMachine(async () => {
  machine = await RealmMachine.start({
    lease: LEASE_S,
    namespaces: { payments: { revoker: true }, billing: { whenStale: 'serve', revoker: true } },
  });
  await machine.put('payments/db', 'of payments');
  await machine.put('billing/invoice', 'of billing');
  await machine.put('billing/meanwhile', 'revoked meanwhile');
  await machine.put('billing/stale', 'served when stale', { whenStale: 'serve' });
  puppet = await machine.startPuppet();
  [web, mapper] = [await machine.inWorkload('web'), await machine.inWorkload('web')];
  await until('the value', async () => ((await web.cat('self/db')) === 'of payments' ? true : undefined));
  held = await web.open('self/db');
  return machine;
});

afterEach(async () => {
  machine.proxy.mend();
  puppet.wallAhead(0);
  await expect.poll(() => web.read(held), soon).toBe('of payments');
});

async function map(): Promise<void> {
  await until('a mapping', async () => {
    const descriptor = await mapper.open('self/db');
    await mapper.map(descriptor);
    return (await mapper.touch()) === 'of payments' ? true : undefined;
  });
}

/** It is read all this time, but for right after the machine stood still. */
async function expectServed(read: () => Promise<string>, value: string, ms: number): Promise<void> {
  let last = performance.now();
  for (const end = last + ms; last < end; last = performance.now()) {
    await sleep(50);
    const answer = await read();
    const stoodStill = performance.now() - last > SPARE;
    if (stoodStill) await expect.poll(read, soon).toBe(value);
    else expect(answer).toBe(value);
  }
}

/** Cuts the line: a descriptor is read until the lease is over, and not after. */
async function expectEnd(): Promise<void> {
  await machine.renewed();
  machine.proxy.cut();
  const cut = performance.now();
  expect(await web.read(held)).toBe('of payments');
  let asked = cut;
  let last = cut;
  await until('the end of the lease', async () => {
    asked = performance.now();
    if ((await web.read(held)) === 'EACCES') return true;
    last = asked;
    return undefined;
  });
  // Whoever asked later than that was refused, however slow the machine is.
  expect(last - cut).toBeLessThanOrEqual(LEASE);
}

/** Open, held descriptor and mapping are refused; the name stays. */
async function expectDenied(): Promise<void> {
  expect([await web.cat('self/db'), await web.read(held)]).toEqual(['EACCES', 'EACCES']);
  // No page asks: they are withdrawn ten times a second.
  await expect.poll(() => mapper.touch(), { interval: 10, timeout: 5000 }).toBe('SIGBUS');
  expect(await web.stat('self/db')).toBe('100400 11 0 0');
}

describe('the service is gone', () => {
  it('everything is denied when the lease is over, but for what is served when stale; all is back with news', async () => {
    await map();
    const stale = await web.open('self/stale');
    await expectEnd();
    await expectDenied();
    expect([await web.cat('self/invoice'), await web.cat('self/stale'), await web.read(stale)]).toEqual([
      'EACCES',
      'served when stale',
      'served when stale',
    ]);
    await sleep(LEASE);
    expect(await web.read(stale)).toBe('served when stale');
    const { leases } = await machine.status();
    expect(Object.values(leases).map(({ holds }) => holds)).toEqual([false, false]);
  });

  it('a start begins lapsed: also what is served when stale waits for the first news', async () => {
    machine.proxy.cut();
    const { server } = machine.lapsed;
    machine.lapsed.signalServer('SIGKILL');
    await machine.lapsed.serverAfter(server);
    await machine.statusOf('a server', ({ stream }) => stream === 'down');
    await sleep(500);
    expect([await web.cat('self/stale'), await web.cat('self/db')]).toEqual(['EACCES', 'EACCES']);
    machine.proxy.mend();
    await expect.poll(() => web.cat('self/stale'), soon).toBe('served when stale');
  });
});

it('old answers, held back for ten leases and then delivered to a host whose clock is an hour slow, renew nothing', async () => {
  await map();
  puppet.wallAhead(-HOUR);
  // Control: a slow clock alone does not matter.
  await expectServed(() => web.read(held), 'of payments', LEASE);
  const { heard } = machine.proxy;
  const old = new Map(['timestamp.json'].map((file) => [`metadata/${file}`, heard.get(`metadata/${file}`)]));
  const echo = heard.get('echo');
  expect(echo?.status).toBe(200);
  machine.proxy.cut();
  await machine.publish(machine.realm.revoke('billing', 'meanwhile', 1));
  await sleep(10 * LEASE);
  await expectDenied();
  // The timestamp is 5 minutes good, and by the slow clock for another hour; the stream stays shut.
  machine.proxy.mend();
  const asked = machine.proxy.asked.length;
  machine.proxy.answer = (path) => {
    if (path.startsWith('echo/')) return echo;
    return path.startsWith('events') ? withhold(/./)(path) : old.get(path);
  };
  await expect
    .poll(() => machine.proxy.asked.slice(asked).filter((path) => path.startsWith('echo/')).length, soon)
    .toBeGreaterThan(2);
  await machine.statusOf('a refusal', ({ lastError }) => lastError?.includes('another nonce') === true);
  await expectDenied();
  machine.proxy.mend();
  await expect.poll(() => web.read(held), soon).toBe('of payments');
  await expect.poll(() => web.cat('self/meanwhile'), soon).toBe('ENOENT');
}, 90_000);

describe('the wall clock jumps', () => {
  it.each([
    ['an hour ahead', HOUR],
    ['an hour back', -HOUR],
  ])('%s: a lease that is held goes on, and ends when it should', async (_, jump) => {
    await map();
    puppet.wallAhead(jump);
    await expectServed(() => web.read(held), 'of payments', 2 * LEASE);
    await expectEnd();
    await expectDenied();
    // Jumping about does not bring it back.
    for (const other of [-jump, 0, jump]) {
      puppet.wallAhead(other);
      expect(await web.read(held)).toBe('EACCES');
    }
  });

  it('ahead of the newest timestamp’s end: clock-ahead, and the lease runs out; an hour back it is not', async () => {
    puppet.wallAhead(HOUR);
    await machine.put('billing/other', 'x');
    await expect.poll(() => web.read(held), soon).toBe('EACCES');
    await machine.statusOf('why', ({ lastError }) => lastError?.includes('clock is ahead') === true);
    puppet.wallAhead(-HOUR);
    await expect.poll(() => web.read(held), soon).toBe('of payments');
    await machine.put('billing/other', 'y');
    await expect.poll(() => web.cat('self/other'), soon).toBe('y');
    // Tokens count by the service's clock.
    await machine.statusOf('a stream', ({ stream }) => stream === 'open');
  });
});

it('stopped for three leases, then continued: nothing is readable before fresh news, descriptors and mappings included', async () => {
  await map();
  machine.lapsed.signalServer('SIGSTOP');
  machine.proxy.cut();
  await sleep(3 * LEASE);
  machine.lapsed.signalServer('SIGCONT');
  await expectDenied();
  machine.proxy.mend();
  await expect.poll(() => web.read(held), soon).toBe('of payments');
  await map();
});

it('the main thread is stuck: the serving thread denies when the lease is over', async () => {
  await machine.renewed();
  puppet.block(3 * LEASE);
  const blocked = performance.now();
  expect(await web.read(held)).toBe('of payments');
  await expect.poll(() => web.read(held), soon).toBe('EACCES');
  expect(await web.cat('self/db')).toBe('EACCES');
  expect(performance.now() - blocked, 'the main thread is stuck').toBeLessThan(3 * LEASE);
  expect(await web.stat('self/db')).toBe('100400 11 0 0');
});

it('one namespace that no longer verifies lapses alone; the others are served and renewed', async () => {
  await map();
  machine.proxy.cut();
  machine.proxy.mend();
  machine.proxy.answer = withhold(/^metadata\/\d+\.payments\.json$|^events/);
  await machine.put('payments/second', 'of payments, too');
  await expect.poll(() => web.read(held), soon).toBe('EACCES');
  await expectDenied();
  for (let i = 0; i < 4; i++) {
    await expectServed(() => web.cat('self/invoice'), 'of billing', LEASE / 2);
    expect(await web.read(held)).toBe('EACCES');
  }
  const { problems } = await machine.statusOf(
    'one lease of two',
    ({ leases }) => leases['payments']?.holds === false && leases['billing']?.holds === true,
  );
  expect(problems.map(({ code }) => code)).toContain('not-found');
});

it('a revocation by the revoker, and of a grant alone', async () => {
  await machine.put('billing/taken', 'taken');
  await expect.poll(() => web.cat('self/taken'), soon).toBe('taken');
  const descriptor = await web.open('self/taken');
  await machine.publish(machine.realm.takeGrantBack('billing', 'taken', 'web', 1));
  await expect.poll(() => web.read(descriptor), soon).toBe('EACCES');
  await expect.poll(() => web.cat('self/taken'), soon).toBe('ENOENT');
  await machine.put('billing/taken', 'a next version');
  await expect.poll(() => web.cat('self/taken'), soon).toBe('a next version');
  await machine.publish(machine.realm.takeBack('billing', 'taken', 2));
  await expect.poll(() => web.cat('self/taken'), soon).toBe('ENOENT');
});
