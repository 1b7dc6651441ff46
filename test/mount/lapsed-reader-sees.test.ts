// DESIGN, "What a reader sees", row by row on a real mount. Every answer is also checked for EIO and for hanging, in
// the probe. Each refusal follows a success in the same place, so that it could have been otherwise.
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { plantedHits, scan } from '../../demo/disk-scan.ts';
import { Host, soon } from '../support/lapsed.ts';
import { onOneMachine } from '../support/lapsed-anew.ts';
import type { Probe } from '../support/lapsed-probe.ts';

const values: Buffer[] = [];

/** A fresh value of exactly so many characters. */
function secretValue(length = 32): string {
  const value = randomBytes(length).toString('base64url').slice(0, length);
  values.push(Buffer.from(value.slice(0, 512)));
  return value;
}

/**
 * In this order. Where a mapping will be looked at later, `touch` comes last: each open of the same file drops the pages
 * that are cached, and then the next touch asks again, as if it had been told to.
 */
async function expectAll(answers: readonly Promise<string>[], expected: string): Promise<void> {
  for (const answer of answers) expect(await answer).toBe(expected);
}

describe('on a host with a lease of a minute', () => {
  let host: Host;
  let web: Probe;
  let api: Probe;

  onOneMachine(async () => {
    host = await Host.start();
    web = await host.inWorkload('web');
    api = await host.inWorkload('api');
    return host;
  });

  it('never granted: ENOENT', async () => {
    const value = secretValue();
    await host.put('never', value, '--grant', 'api');
    expect(await api.cat('self/never')).toBe(value);
    expect(await web.cat('self/never')).toBe('ENOENT');
    expect(await web.stat('self/never')).toBe('ENOENT');
    expect((await web.list('self')).split(' ')).not.toContain('never');
  });

  it('revoked: a held descriptor EACCES, a mapping SIGBUS, the name ENOENT', async () => {
    const value = secretValue();
    await host.put('revoked', value, '--grant', 'web');
    const held = await web.open('self/revoked');
    expect(await web.map(held)).toBe('done');
    expect((await web.list('self')).split(' ')).toContain('revoked');
    await expectAll([web.read(held), web.cat('self/revoked'), web.touch()], value);

    await host.revoke('revoked');
    expect(await web.touch()).toBe('SIGBUS');
    await expectAll([web.read(held), web.fstat(held), web.open(`/proc/self/fd/${held}`)], 'EACCES');
    await expectAll([web.cat('self/revoked'), web.stat('self/revoked')], 'ENOENT');
    expect((await web.list('self')).split(' ')).not.toContain('revoked');
  });

  it('put again after a revocation: a new file; what was opened before stays dead', async () => {
    await host.put('again', secretValue(), '--grant', 'web');
    const held = await web.open('self/again');
    await host.revoke('again');
    const value = secretValue();
    expect(await host.put('again', value, '--grant', 'web')).toBe('payments/again@2');
    expect(await web.cat('self/again')).toBe(value);
    expect(await web.read(held)).toBe('EACCES');
  });

  it('an unregistered caller: self ENOENT, any view EACCES', async () => {
    await host.put('shared', secretValue(), '--grant', 'web');
    const nobody = await host.unregistered();
    await expectAll([nobody.link('self'), nobody.stat('self'), nobody.cat('self/shared')], 'ENOENT');
    expect((await nobody.list('.')).split(' ').sort()).toEqual(['v', 'w']);
    expect(await nobody.list('w')).toBe('');
    await expectAll([nobody.cat('w/web/shared'), nobody.list('w/web'), nobody.stat('w/web')], 'EACCES');
    expect(await nobody.stat('w/does-not-exist'), 'which views there are is not told').toBe('EACCES');

    await host.register(nobody, 'web');
    expect(await nobody.link('self'), 'control: once registered').toBe('w/web');
    expect(await nobody.cat('w/web/shared')).toHaveLength(32);
  });

  it("another workload's view: ENOENT; w lists only the caller's own", async () => {
    const value = secretValue();
    await host.put('theirs', value, '--grant', 'api');
    expect(await api.cat('w/api/theirs')).toBe(value);
    await expectAll([web.cat('w/api/theirs'), web.stat('w/api'), web.list('w/api')], 'ENOENT');
    await expectAll([web.list('w'), web.link('self').then((target) => target.slice(2))], 'web');
    expect(await api.list('w')).toBe('api');
    expect((await web.list('.')).split(' ').sort()).toEqual(['self', 'v', 'volume', 'w']);
  });

  it('rotation: new opens see the new value, the old descriptor the old one until its overlap ends', async () => {
    const [old, fresh] = [secretValue(20), secretValue(40)];
    const before = await host.put('rotated', old, '--grant', 'web', '--overlap', '4s');
    const held = await web.open('self/rotated');
    await web.map(held);
    await expectAll([web.read(held), web.touch()], old);

    await host.rotate('rotated', fresh);
    expect(await web.cat('self/rotated')).toBe(fresh);
    await expectAll([web.read(held), web.touch()], old);
    expect(await web.fstat(held)).toBe('100400 20 0 0');
    expect(await web.stat('self/rotated')).toBe('100400 40 0 0');

    await host.effect(before, 'withdrawn');
    await expectAll([web.read(held), web.fstat(held)], 'EACCES');
    expect(await web.touch()).toBe('SIGBUS');
    expect(await web.cat('self/rotated')).toBe(fresh);
  });

  it('rotation without an overlap: the old descriptor ends at once', async () => {
    const before = await host.put('abrupt', secretValue(), '--grant', 'web', '--overlap', '0');
    const held = await web.open('self/abrupt');
    expect(await web.read(held)).toHaveLength(32);
    await host.rotate('abrupt', secretValue());
    await host.effect(before, 'withdrawn');
    expect(await web.read(held)).toBe('EACCES');
  });

  it('a grant that is added, and withdrawn again', async () => {
    const value = secretValue();
    await host.put('granted', value, '--grant', 'api');
    expect(await web.cat('self/renamed')).toBe('ENOENT');
    await host.lapse('grant', 'payments/granted', 'web', '--as', 'renamed');
    await expect.poll(() => web.cat('self/renamed'), soon).toBe(value);
    expect(await web.cat('self/granted')).toBe('ENOENT');

    const held = await web.open('self/renamed');
    await web.map(held);
    await expectAll([web.read(held), web.touch()], value);
    await host.lapse('grant', 'payments/granted', 'web', '--withdraw');
    await expect.poll(() => web.cat('self/renamed'), soon).toBe('ENOENT');
    await expect.poll(() => web.touch(), soon).toBe('SIGBUS');
    expect(await web.read(held)).toBe('EACCES');
  });

  it('a value of 0.9 MiB', async () => {
    const value = secretValue(0.9 * 2 ** 20);
    await host.put('large', value, '--grant', 'web');
    expect((await web.cat('self/large')) === value).toBe(true);
    const held = await web.open('self/large');
    await web.map(held);
    expect((await web.touch()) === value).toBe(true);
    await host.revoke('large');
    expect(await web.read(held)).toBe('EACCES');
    expect(await web.touch()).toBe('SIGBUS');
  });

  it("a grant's mode, owner and group: shown, and enforced", async () => {
    const grant = (name: string, ...args: string[]) =>
      host.lapse('grant', `payments/${name}`, 'web', ...args);
    const value = secretValue();
    for (const name of ['for-root', 'for-owner', 'for-group']) await host.put(name, value, '--grant', 'api');
    await grant('for-root');
    await grant('for-owner', '--uid', '1000', '--mode', '0400');
    await grant('for-group', '--gid', '2000', '--mode', '0440');
    await expect.poll(() => web.stat('self/for-group'), soon).toBe('100440 32 0 2000');
    expect(await web.stat('self/for-owner')).toBe('100400 32 1000 0');
    expect(await web.stat('self/for-root')).toBe('100400 32 0 0');

    const reader = await host.inWorkload('web');
    await expectAll(
      ['for-root', 'for-owner', 'for-group'].map((name) => reader.cat(`self/${name}`)),
      value,
    );
    expect(await reader.become(1000, 2000)).toBe('done');
    expect(await reader.cat('self/for-root')).toBe('EACCES');
    await expectAll([reader.cat('self/for-owner'), reader.cat('self/for-group')], value);
  });

  it('a caller that moves to another control group', async () => {
    const value = secretValue();
    await host.put('moving', value, '--grant', 'web');
    const mover = await host.inWorkload('web');
    const held = await mover.open('self/moving');
    const home = mover.group;
    expect(await mover.read(held)).toBe(value);

    await mover.move(home.below());
    await expectAll([mover.read(held), mover.cat('self/moving')], value);
    await mover.move(host.group());
    expect(await mover.read(held), 'unregistered').toBe('EACCES');
    expect(await mover.cat('self/moving')).toBe('ENOENT');
    await mover.move(api.group);
    await expectAll([mover.read(held), mover.fstat(held)], 'EACCES');
    expect(await mover.link('self')).toBe('w/api');
    await mover.move(home);
    expect(await mover.read(held)).toBe(value);
  });

  it('a descriptor that a process of another workload inherits: EACCES', async () => {
    const value = secretValue();
    await host.put('inherited', value, '--grant', 'web');
    const heir = await host.inWorkload('web');
    const held = await heir.open('self/inherited');
    expect(await heir.exec()).toBe('ready');
    expect(await heir.read(held), 'control: inherited within the workload').toBe(value);
    await heir.move(api.group);
    expect(await heir.exec()).toBe('ready');
    await expectAll([heir.read(held), heir.fstat(held)], 'EACCES');
    expect(await heir.map(held)).toBe('done');
    expect(await heir.touch()).toBe('SIGBUS');
  });

  it('a workload that was unregistered: EACCES, SIGBUS', async () => {
    const value = secretValue();
    await host.put('stopped', value, '--grant', 'batch');
    const batch = await host.inWorkload('batch');
    const held = await batch.open('self/stopped');
    await batch.map(held);
    await expectAll([batch.read(held), batch.touch()], value);
    await host.unregister(batch);
    expect(await batch.read(held)).toBe('EACCES');
    expect(await batch.touch()).toBe('SIGBUS');
    expect(await batch.link('self')).toBe('ENOENT');
  });

  it('nobody can write', async () => {
    await host.put('fixed', secretValue(), '--grant', 'web');
    expect(await web.cat('self/fixed')).toHaveLength(32);
    expect(await web.write('self/fixed')).toBe('EROFS');
    expect(await web.write('self/new')).toBe('EROFS');
  });

  // Of this machine, on which all the others were: a second try would look at one that has had no value.
  it('no value stands in a log, in the state, or anywhere else on disk', { retry: 0 }, async () => {
    expect(values.length).toBeGreaterThan(10);
    expect((await scan(host.places.work, values)).hits).toEqual(new Set());
    expect(await plantedHits(host.places.logs, values[0]!), 'control').toBe(1);
  });
});

describe('when the lease is over', () => {
  it('names stay, open and read EACCES, mappings SIGBUS; with news everything reads again', async () => {
    await using host = await Host.start({ lease: '4s' });
    const value = secretValue();
    await host.put('db', value, '--grant', 'web');
    const web = await host.inWorkload('web');
    const held = await web.open('self/db');
    await web.map(held);
    await expectAll([web.read(held), web.cat('self/db')], value);

    // The end of the service takes a moment, too.
    await host.renewed();
    await host.stopService();
    await expectAll([web.read(held), web.touch()], value);
    await host.statusOf('end of the lease', ({ lease }) => !lease.holds);
    await expect.poll(() => web.touch(), soon).toBe('SIGBUS');
    await expectAll([web.open('self/db'), web.read(held)], 'EACCES');
    await expectAll([web.stat('self/db'), web.fstat(held)], '100400 32 0 0');
    await expectAll([web.list('self')], 'db');
    expect(await web.link('self')).toBe('w/web');

    await host.startService();
    await host.statusOf('lease', ({ lease }) => lease.holds);
    await expectAll([web.read(held), web.touch(), web.cat('self/db')], value);
  });
});
